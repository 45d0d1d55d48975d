"""What every command line shares: flags, quiet start, one-line errors.

Imports neither TensorFlow nor anything that does, so that flags are parsed first.
"""

import contextlib
import functools
import itertools
import operator
import os
import pathlib
import re
import runpy
import sys
import time

from absl import app, flags
from ml_collections import config_flags

from ram_tf.backend import check_backend
from ram_tf.errors import InputError

FLAGS = flags.FLAGS
STARTED = time.time()


class OrNone(flags.ArgumentParser):
    """Reads the word `None` as nothing, and any other as `parser` does."""

    def __init__(self, parser):
        super().__init__()
        self.parser = parser

    def parse(self, argument):
        return None if argument in (None, "None") else self.parser.parse(argument)

    def flag_type(self):
        return self.parser.flag_type()


for kind, parser in {
    float: flags.FloatParser(),
    int: flags.IntegerParser(),
    str: flags.ArgumentParser(),
}.items():
    config_flags.register_flag_parser_for_type(kind, OrNone(parser))


def run(main, *, rewrite=None, default_config=None, positional=None):
    """Parses flags, runs `main(arguments)` and turns input errors into one line.

    Exit status: 0, or what `main` returned; 2 when the input cannot be used. Set
    `RAM_TF_TRACEBACK=1` to see where such an error was raised.

    Args:
        main: Function of the list of positional arguments.
        rewrite: Function from the command line's words to those that are parsed.
        default_config: Path of the config file when the command line names none;
            `None` for a command without `--config`.
        positional: What positional arguments are, or `None`: there are none.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    app.define_help_flags()
    try:
        check_backend()
        arguments = parse(
            sys.argv,
            rewrite=rewrite,
            default_config=default_config,
            positional=positional,
        )
        with _silenced():
            import tensorflow as tf

            if "TF_CONFIG" not in os.environ:  # Several workers meet before that.
                tf.config.list_logical_devices()
        tf.get_logger().setLevel("ERROR")  # No hints about retracing.
        status = main(arguments)
    except Exception as error:
        expected = isinstance(error, (InputError, OSError)) or _is_out_of_memory(error)
        if os.environ.get("RAM_TF_TRACEBACK") or not expected:
            raise
        name = pathlib.Path(sys.argv[0]).name
        print(f"{name}: error: {_describe(error)}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        status = 130
    sys.exit(status or 0)


def parse(argv, *, rewrite=None, default_config=None, positional=None):
    """Parses a command line into the flags; returns its positional arguments.

    Takes what `run` takes.

    Raises:
        InputError: If the command line, or the config that it names, cannot be used.
    """
    argv = rewrite(argv) if rewrite else argv
    if default_config is not None:
        argv = choose_config(argv, default_config)
    sys.argv[:] = argv  # Where ml_collections looks for overrides.
    _, *arguments = _parse(argv)
    if arguments and positional is None:
        raise InputError(
            f"unexpected argument {arguments[0]!r}: every option starts with --, as in "
            "--epochs=5."
        )
    if default_config is not None:
        _set_to_none(FLAGS["config"])
    return arguments


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


def flag_values(argv):
    """Reads the flags of a command line, name -> text, before they are parsed."""
    values = {}
    for word, following in itertools.pairwise([*argv[1:], ""]):
        name, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-"):
            is_value = not equals and not following.startswith("-")
            values[name] = following if is_value else value
    return values


def without_flag(argv, name):
    """Removes a flag and its value from a command line."""
    kept, words = [argv[0]], iter(argv[1:])
    for word in words:
        flag, equals, _ = word.lstrip("-").partition("=")
        if not word.startswith("-") or flag != name:
            kept.append(word)
        elif not equals:
            next(words, None)
    return kept


def number(text, flag, kind=float):
    """Reads a flag's number, of the type `kind`.

    Raises:
        InputError: If it is none.
    """
    try:
        return kind(text)
    except ValueError:
        expected = "a whole number" if kind is int else "a number"
        raise InputError(f"--{flag} takes {expected}, got {text!r}.") from None


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


def read_names(path, name, examples):
    """Runs a python file and returns its names, of which `name` must be one."""
    try:
        names = runpy.run_path(path)
        names[name]
    except Exception as error:  # It may be anything: it comes from the user's file.
        raise InputError(
            f"no {name} in {path!r} ({type(error).__name__}: {error}): expected a "
            f"python file with {name}, as in {examples}."
        ) from error
    return names


def choose_base(argv, flag, name, examples, root):
    """Takes the config that a file names as its `BASE`, unless `--config` is given."""
    given = flag_values(argv)
    if "config" not in given and flag in given:
        base = read_names(given[flag], name, examples).get("BASE")
        if base is not None:
            return [*argv, f"--config={root / base}"]
    return argv


def integers(words, flag, count=None):
    """Turns a list flag into `count` positive integers; `None` stays `None`."""
    if words is None:
        return None
    try:
        numbers = [int(word) for word in words]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1 or len(numbers) != (count or len(numbers)):
        expected = f"{count} positive integers" if count else "positive integers"
        raise InputError(
            f"--{flag} takes {expected} with commas between, got {','.join(words)!r}."
        )
    return numbers


def _parse(argv):
    try:
        arguments = FLAGS(argv)
    except flags.Error as error:
        untyped = re.search(r"NoneType.* of field config\.(\S+) is not", str(error))
        raise InputError(
            f"--config.{untyped[1]} is None in the config's file, of no type to read "
            "it as: write config_dict.placeholder(int), or of another type, there."
            if untyped
            else _describe(error)
        ) from error
    # A config file is a program and may raise anything; so may an override of a key
    # that it does not have.
    except Exception as error:
        raise InputError(_describe_config_error(error)) from error
    if "config" in FLAGS and FLAGS["config"].value is None:
        raise InputError("the config file's get_config() returned nothing.")
    return arguments


def _set_to_none(flag):
    """Gives the keys that were overridden with `None` that value, or refuses it.

    A tuple's parser makes `(None,)` of it. A key that its file declares with a
    placeholder or a reference may be `None` and keeps its type; any other loses it.
    """
    for key, value in config_flags.get_override_values(flag).items():
        if value not in (None, (None,)):
            continue
        *sections, name = key.split(".")
        section = functools.reduce(operator.getitem, sections, flag.value)
        section[name] = None
        if section.get_type(name) is type(None):
            raise InputError(
                f"--config.{key} cannot be None: its file gives it a value that is no "
                "config_dict.placeholder or config_dict.FieldReference."
            )


def _describe_config_error(error):
    text = _describe(error).replace("\\n", " ").replace("\\'", "'")
    key = re.match(r"""["']*(\w+)["']*( Did you mean "(\w+)"|["']*$)""", text)
    if isinstance(error, (AttributeError, KeyError)) and key:
        hint = f"did you mean {key[3]!r}?" if key[3] else "its file lists them all."
        return f"the config has no key {key[1]!r}: {hint}"
    return (
        f"cannot load the config: {type(error).__name__}: {text}. Expected a python "
        "file with get_config(), as in configs/, and values of its types."
    )


def _is_out_of_memory(error):
    # TensorFlow may not be imported: its error goes by its name.
    exhausted = type(error).__name__ == "ResourceExhaustedError"
    return exhausted or isinstance(error, MemoryError)


def _describe(error):
    if _is_out_of_memory(error):
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
