"""What a person is told in one line: an error that can be mended, a warning."""

import contextlib
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


@contextlib.contextmanager
def only_warned(what, report):
    """Says in a line what went wrong inside, and goes on: what is left matters more.

    Args:
        what: String, what there is not then.
        report: Function of one line of text.
    """
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        report(f"warning: {what}: {reason}")
