"""Errors that reach a person, and the exit codes that scripts may rely on."""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NO_CONTAINERS = 3
EXIT_NO_PROGRAMS = 4


class ClusterError(Exception):
    """Something failed. The message says what, and `next_step` what to do about it."""

    exit_code = EXIT_FAILED

    def __init__(self, message, next_step=""):
        super().__init__(message)
        self.next_step = next_step


class CannotRunContainers(ClusterError):
    """This machine (as it is now) cannot run pods. `up --api-only` may still work."""

    exit_code = EXIT_NO_CONTAINERS


class ProgramsMissing(ClusterError):
    """Programs of the cluster (or the Go to build them) are absent and could not be had."""

    exit_code = EXIT_NO_PROGRAMS
