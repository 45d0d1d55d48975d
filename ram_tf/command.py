"""What every command line shares: flags, quiet start, one-line errors.

Imports neither TensorFlow nor anything that does, so that flags are parsed first.
"""

import contextlib
import os
import pathlib
import sys
import time

from absl import app, flags

from ram_tf.errors import InputError

FLAGS = flags.FLAGS
STARTED = time.time()


def run(main, *, default_config=None, short_names=None):
    """Parses flags, runs `main(arguments)` and turns input errors into one line.

    Exit status: 0, or what `main` returned; 2 when the input cannot be used. Set
    `RAM_TF_TRACEBACK=1` to see where such an error was raised.

    Args:
        main: Function of the list of positional arguments.
        default_config: Path of the config file when the command line names none;
            `None` for a command without `--config`.
        short_names: Dictionary flag -> dotted config key.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    app.define_help_flags()
    try:
        argv = expand_short_names(sys.argv, short_names or {})
        if default_config is not None:
            argv = choose_config(argv, default_config)
        sys.argv[:] = argv  # Where ml_collections looks for overrides.
        arguments = _parse(argv)
        with _silenced():
            import tensorflow as tf

            tf.config.list_logical_devices()
        status = main(arguments[1:])
    except (InputError, OSError, MemoryError) as error:
        if os.environ.get("RAM_TF_TRACEBACK"):
            raise
        name = pathlib.Path(sys.argv[0]).name
        print(f"{name}: error: {_describe(error)}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        status = 130
    sys.exit(status or 0)


def expand_short_names(argv, short_names):
    """Rewrites `--lr=0.1` to `--config.train.learning_rate=0.1`; `None` means unset."""
    expanded, words = [argv[0]], iter(argv[1:])
    for word in words:
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or name not in short_names:
            expanded.append(word)
            continue
        if not equals:
            value = next(words, "")
        if value != "None":
            expanded.append(f"--config.{short_names[name]}={value}")
    return expanded


def choose_config(argv, default):
    """Moves `--config` to the front, adding the default, as overrides need it first.

    The file's folder goes on the import path, so that one config can build on another.
    """
    chosen, rest, words = default, [argv[0]], iter(argv[1:])
    for word in words:
        name, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-") and name == "config":
            chosen = value if equals else next(words, "")
        else:
            rest.append(word)
    chosen = pathlib.Path(chosen)
    if not chosen.is_file():
        raise InputError(
            f"no config file {str(chosen)!r}: expected a python file with "
            "get_config(), as in configs/."
        )
    sys.path.append(str(chosen.resolve().parent))
    return [rest[0], f"--config={chosen}", *rest[1:]]


def integers(words, flag):
    """Turns a list flag into positive integers; `None` stays `None`."""
    if words is None:
        return None
    try:
        numbers = [int(word) for word in words]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise InputError(
            f"--{flag} takes positive integers with commas between, got "
            f"{','.join(words)!r}."
        )
    return numbers


def _parse(argv):
    try:
        return FLAGS(argv)
    except flags.Error as error:
        raise InputError(_first_line(error)) from error
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        # ml_collections raises these for keys that a config does not have.
        raise InputError(
            f"cannot apply the flags to the config: {_first_line(error)}"
        ) from error


def _first_line(error):
    text = str(error.args[0]) if error.args else str(error)
    return " ".join(text.split())


def _describe(error):
    if isinstance(error, MemoryError):
        return "out of memory: lower the batch size or the image size."
    if isinstance(error, InputError):
        return " ".join(str(error).split())
    return " ".join(f"{error}".split()) or type(error).__name__


@contextlib.contextmanager
def _silenced():
    """Hides what TensorFlow's C++ code prints while it is imported."""
    sys.stderr.flush()
    saved = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
