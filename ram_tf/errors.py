"""The one exception that commands print as a single line."""


class InputError(ValueError):
    """Something the user gave cannot be used, and the user can mend it.

    The message says what was received, what was expected and how to fix it, in one
    line. Commands print it without a traceback and exit with status 2.
    """
