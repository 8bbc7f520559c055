"""A lock file held for the length of a `with` block; the kernel drops it when the holder dies."""

import contextlib
import fcntl
import os

from .progress import say


@contextlib.contextmanager
def locked(path, purpose):
    """Hold an exclusive flock on `path`, saying so when another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _held(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), path, purpose):
        yield


@contextlib.contextmanager
def locked_folder(path, purpose):
    """The same with an existing folder as the lock, for what all users of a machine share."""
    with _held(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), path, purpose):
        yield


@contextlib.contextmanager
def _held(handle, path, purpose):
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that is {purpose} ({path})")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
