"""Progress lines on standard error: whatever takes over two seconds is announced."""

import contextlib
import sys
import threading
import time

_started = time.monotonic()
_running = []


def say(text):
    """Print one line with the seconds since the command began."""
    print(f"[{time.monotonic() - _started:6.1f}s] {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text, every=10.0):
    """Announce `text`, repeat it with its age each `every` seconds, and say when it is done.

    Of nested steps only the innermost repeats itself.
    """
    say(f"{text} …")
    begin = time.monotonic()
    done = threading.Event()

    def remind():
        while not done.wait(every):
            if _running[-1:] != [done]:
                continue
            say(f"  still {text} ({time.monotonic() - begin:.0f}s)")

    reminder = threading.Thread(target=remind, daemon=True)
    _running.append(done)
    reminder.start()
    try:
        yield
    finally:
        done.set()
        _running.remove(done)
        reminder.join()
    say(f"{text}: done in {time.monotonic() - begin:.1f}s")
