"""What a person is told in one line: an error that can be mended, a warning."""

import functools
import sys


class InputError(ValueError):
    """Something the user gave cannot be used, and the user can mend it.

    The message says what was received, what was expected and how to fix it, in one
    line. Commands print it without a traceback and exit with status 2.
    """


def warn(line):
    """Prints a warning of one line beside what a command answers."""
    print(f"warning: {line}", file=sys.stderr)


@functools.cache
def warn_once(line):
    """Prints a warning that a process gives once, however often it comes to it."""
    warn(line)
