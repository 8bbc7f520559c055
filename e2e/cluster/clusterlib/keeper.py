"""First process of a full cluster's namespaces: sets them up, starts programs, reaps the dead.

Runs as process 1 of a process namespace of its own (see namespaces.py), as a script. When it dies
the kernel kills every other process of the namespace and drops its mounts and network devices:
that is why a crash leaves nothing behind. It listens on a socket in the state folder; a request is
one JSON line {"argv", "env", "log"}, the answer {"pid"} (as seen in here) or {"error"}.
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys

SOCKET = "keeper.sock"


def call(*argv):
    subprocess.run(argv, check=True)


def set_up(state_dir, hidden):
    # Mounts made in here stay in here; kubelet, containerd and pods share them with each other.
    call("mount", "--make-rshared", "/")
    for source, target in hidden:
        if source:
            call("mount", "--bind", source, target)
        else:
            call("mount", "-t", "tmpfs", "tmpfs", target)
    call("ip", "link", "set", "lo", "up")
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as setting:
        setting.write("1")
    os.chdir(state_dir)


def start(request):
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return os.posix_spawn(
            request["argv"][0],
            request["argv"],
            request["env"],
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE],
        )
    finally:
        os.close(log)


def answer(connection):
    connection.settimeout(60)
    line = b""
    while not line.endswith(b"\n"):
        part = connection.recv(65536)
        if not part:
            return
        line += part
    try:
        reply = {"pid": start(json.loads(line))}
    except (OSError, ValueError, KeyError, IndexError) as error:
        reply = {"error": str(error)}
    connection.sendall(json.dumps(reply).encode() + b"\n")


def reap():
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


def main():
    state_dir, hidden = sys.argv[1], json.loads(sys.argv[2])
    set_up(state_dir, hidden)

    readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(SOCKET)  # relative: the state folder's path may be longer than an address
    listener.listen()
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(readable, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                with connection:
                    try:
                        answer(connection)
                    except OSError as error:
                        print(f"keeper: a request broke off: {error}", flush=True)
            else:
                os.read(readable, 4096)
                reap()


if __name__ == "__main__":
    main()
