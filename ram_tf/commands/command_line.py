"""What every command line shares: flags, quiet start, one-line errors.

Imports neither TensorFlow nor anything that does, so that flags are parsed first.
"""

import contextlib
import dataclasses
import functools
import io
import itertools
import operator
import os
import pathlib
import re
import runpy
import sys
import textwrap
import time
from collections.abc import Callable

from absl import app, flags
from ml_collections import config_flags

from ram_tf.backend import check_backend, check_system
from ram_tf.commands import config_files
from ram_tf.compilation import keep_compiled
from ram_tf.errors import InputError
from ram_tf.files import expand_path

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


class PathParser(flags.ArgumentParser):
    """Reads a path as `expand_path` does."""

    def parse(self, argument):
        return None if argument is None else expand_path(argument)


@dataclasses.dataclass(frozen=True)
class ShortName:
    """A flag that stands for a key of the config.

    Attributes:
        key: Dotted.
        parser: Of the value's type.
        help: A sentence.
    """

    key: str
    parser: flags.ArgumentParser
    help: str


_TEXT, _WHOLE, _PATH = flags.ArgumentParser(), flags.IntegerParser(), PathParser()
SHORT_NAMES = {
    "datapath": ShortName("data.datapath", _PATH, "Folder where the data are."),
    "batch": ShortName("train.batch_size", _WHOLE, "Images of a training step."),
    "batchv": ShortName("eval.batch_size", _WHOLE, "Images evaluated at a time."),
    "T": ShortName("train.num_glimpses", _WHOLE, "Glimpses of an image."),
    "strategy": ShortName(
        "runtime.strategy",
        _TEXT,
        "Devices: auto, one_device, mirrored or multi_worker.",
    ),
    "mixed_precision": ShortName(
        "runtime.mixed_precision",
        _TEXT,
        "Precision: float32, mixed_bfloat16 or mixed_float16.",
    ),
    "pretrain_checkpoint": ShortName(
        "train.pretrain_checkpoint", _PATH, "Weights that training starts from."
    ),
}
# The words that ask for a command's help alone.
HELP = {"--help", "-help", "-h", "-?", "--helpshort"}

for kind, parser in {
    float: flags.FloatParser(),
    int: flags.IntegerParser(),
    str: flags.ArgumentParser(),
}.items():
    config_flags.register_flag_parser_for_type(kind, OrNone(parser))


@dataclasses.dataclass(frozen=True)
class Command:
    """What a module of this package does with its command line.

    Attributes:
        main: Function of the list of positional arguments; returns the exit status, or
            `None` for 0. The docstring of its module is what `--help` shows.
        define_flags: Function without arguments that defines the command's own flags.
            It is called once in a process, which so has the flags of one command.
        default_config: Name of the config when the command line names none; `None` for
            a command without `--config`.
        short_names: Those of `SHORT_NAMES` that it takes.
        decider: `None`, or the name of a flag that decides the config too, and a
            function from its text and that of `--config`, or `None`, to the config's
            file, or `None` to leave it.
        positional: What positional arguments are, or `None`: there are none.
    """

    main: Callable
    define_flags: Callable = lambda: None
    default_config: str | None = None
    short_names: tuple[str, ...] = ()
    decider: tuple[str, Callable] | None = None
    positional: str | None = None


def run(command):
    """Parses flags, runs a `Command` and turns input errors into one line.

    Exit status: 0, or what the command returned; 2 when the input cannot be used. Set
    `RAM_TF_TRACEBACK=1` to see where such an error was raised.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Memory of a GPU is taken as it is needed: several processes can share a card.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    keep_compiled()
    app.define_help_flags()
    print_any_name(sys.stdout)
    try:
        check_system()
        check_backend()
        names = define(command)
        if HELP & set(sys.argv[1:]):
            print(help_text(command, names))
            sys.exit(0)
        arguments = parse(command, sys.argv)
        with _silenced():
            import tensorflow as tf

            if "TF_CONFIG" not in os.environ:  # Several workers meet before that.
                tf.config.list_logical_devices()
        tf.get_logger().setLevel("ERROR")  # No hints about retracing.
        status = command.main(arguments)
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


def print_any_name(stream):
    """Lets a text stream print names of files that are no text, as their own bytes."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="surrogateescape")


def define(command):
    """Defines all flags of a command; returns their names, sorted."""
    before = set(FLAGS)
    command.define_flags()
    if command.default_config is not None:
        config_flags.DEFINE_config_file(
            "config",
            None,
            f"Name of a config, or its python file; default {command.default_config}. "
            "--config.KEY=VALUE sets any of its keys.",
        )
    for name in command.short_names:
        short = SHORT_NAMES[name]
        flags.DEFINE(OrNone(short.parser), name, None, f"{short.help} ({short.key})")
    return sorted(set(FLAGS) - before)


def help_text(command, names):
    """What `--help` shows: the docstring of the command's module, and its flags."""
    beside = f", beside {command.positional}" if command.positional else ""
    text = sys.modules[command.main.__module__].__doc__.strip()
    lines = [text, "", f"Flags{beside}:"]
    for name in names:
        flag = FLAGS[name]
        values = f"={flag.parser.syntactic_help}" * isinstance(flag, flags.EnumFlag)
        text = f"--{'[no]' * flag.boolean}{name}{values}: {flag.help}"
        if flag.default is not None and not flag.boolean:
            text += f" Default {flag.default_as_str}."
        lines += textwrap.wrap(text, 78, initial_indent="  ", subsequent_indent=" " * 6)
    return "\n".join(lines)


def parse(command, argv):
    """Parses a command line into the flags; returns its positional arguments.

    Args:
        command: A `Command` whose flags are defined.
        argv: List of words, the program's name first.

    Raises:
        InputError: If the command line, or the config that it names, cannot be used.
    """
    if command.default_config is not None:
        argv = choose_config(command, argv)
    sys.argv[:] = argv  # Where ml_collections looks for overrides.
    _, *arguments = _parse(argv)
    if arguments and command.positional is None:
        raise InputError(
            f"unexpected argument {arguments[0]!r}: every option starts with --, as in "
            "--epochs=5."
        )
    if command.default_config is not None:
        if FLAGS["config"].value is None:
            raise InputError("the config file's get_config() returned nothing.")
        _set_to_none(FLAGS["config"])
    return [expand_path(argument) for argument in arguments]


def choose_config(command, argv):
    """Puts the file of the config first, as overrides need it before they are parsed.

    Here alone the words of a command line are read by hand. The file's folder, and that
    of the configs that have names, go on the import path, so that one config can build
    on another.
    """
    decider, decide = command.decider or (None, None)
    given, rest, words = {}, [argv[0]], iter(argv[1:])
    for word in words:
        name, equals, value = word.lstrip("-").partition("=")
        if word == "--":  # What follows are no flags.
            rest += [word, *words]
        elif not word.startswith("-") or name not in ("config", decider):
            rest.append(word)
        else:
            given[name] = value if equals else next(words, "")
            if name == decider:
                rest.append(f"--{name}={given[name]}")
    file = None
    if decider in given:
        file = decide(given[decider], given.get("config"))
    if file is None:
        file = config_files.find(given.get("config", command.default_config))
    for folder in (file.resolve().parent, config_files.config_folder()):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    return [rest[0], f"--config={file}", *rest[1:]]


def read_config(command, more=None):
    """Returns the config that the parsed command line means; takes what `asked` does.

    What is asked for by its key holds for every phase that has such a key.

    Raises:
        InputError: If two flags contradict each other, or the config has no such key.
    """
    from ram_tf import experiment

    return experiment.vary(FLAGS["config"].value, asked(command, more))


def asked(command, more=None):
    """Returns what a parsed command line sets in the config, dotted key -> value.

    Args:
        command: A `Command` with a config.
        more: Short name -> (key, value) of flags whose key depends on the config.

    Raises:
        InputError: If a short name and its key are both given.
    """
    flag = FLAGS["config"]
    keys = config_flags.get_override_values(flag)
    # As the config holds them: what was overridden with `None` among them.
    values = {key: _section(flag.value, key)[key.split(".")[-1]] for key in keys}
    given = {
        name: (SHORT_NAMES[name].key, FLAGS[name].value)
        for name in command.short_names
        if FLAGS[name].value is not None  # `None` means unset.
    }
    for name, (key, value) in {**given, **(more or {})}.items():
        if key in keys:
            raise InputError(f"--{name} and --config.{key} are one key: give only one.")
        values[key] = value
    return values


def define_path(name, default, description, required=False):
    """Defines a flag whose value is a path; the arguments are those of absl's."""
    flags.DEFINE(PathParser(), name, default, description, required=required)


def paths(values):
    """Returns the paths that a flag of several names: each value has commas between.

    A comma between what are no files, but the two parts of one's name, separates
    nothing.

    Args:
        values: Sequence of strings, or `None`: none.
    """
    found = []
    for value in values or ():
        words = value.split(",")
        while words:
            joined = itertools.accumulate(words, "{},{}".format)
            files = (index for index, name in enumerate(joined, 1) if _is_file(name))
            count = next(files, 1)
            found.append(expand_path(",".join(words[:count])))
            words = words[count:]
    return found


def _is_file(name):
    return os.path.isfile(os.path.expanduser(name))


def define_stop():
    """Defines `--stop` and the older name of its number."""
    flags.DEFINE_list(
        "stop",
        None,
        "When looking stops, NAME:NUMBER: settled:2 of active RAM, little_to_gain:0.02 "
        "(nats) of PHAM, promise:0.01 of RAM trained with phases.train.returns=gain "
        "(probability) or log_gain (nats). Several numbers where several are compared.",
    )
    flags.DEFINE_list("stop_epsilon", None, "The number of --stop alone.")


def stops():
    """Returns what `--stop` or `--stop_epsilon` says: `NAME:NUMBER`s, or numbers.

    Raises:
        InputError: If both are given, or one says nothing.
    """
    if FLAGS.stop is None and FLAGS.stop_epsilon is None:
        return []
    if FLAGS.stop is not None and FLAGS.stop_epsilon is not None:
        raise InputError("--stop and --stop_epsilon are one option: give only one.")
    if FLAGS.stop is None:
        return [number(each, "stop_epsilon") for each in FLAGS.stop_epsilon or [""]]
    name, colon, _ = "".join(FLAGS.stop[:1]).rpartition(":")
    if not colon:
        raise InputError(
            f"--stop takes NAME:NUMBER, as settled:2, got {','.join(FLAGS.stop)!r}."
        )
    return [each if ":" in each else f"{name}:{each}" for each in FLAGS.stop]


def one_stop():
    """Returns the only one of `stops`, or `None`."""
    found = stops()
    if len(found) > 1:
        raise InputError(f"one number says when to stop here, got {len(found)}.")
    return found[0] if found else None


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


def read_names(text, kind):
    """Runs the python file that a path or a name means, and returns its names.

    Args:
        text: What `config_files.find` takes.
        kind: `space` or `variants`, of which the file must hold one.

    Raises:
        InputError: If there is no such file, or it cannot be run or holds no such name.
    """
    path = config_files.find(text, kind)
    name, folder = config_files.KINDS[kind]
    try:
        names = runpy.run_path(str(path))
        names[name]
    except Exception as error:  # It may be anything: it comes from the user's file.
        raise InputError(
            f"no {name} in {str(path)!r} ({type(error).__name__}: {error}): expected a "
            f"python file with {name}, as in configs/{folder}/."
        ) from error
    return names


def base_of(kind):
    """Returns the decider of a flag of files whose `BASE` is the config.

    It leaves the choice to `--config` where that is given.
    """

    def decide(text, config):
        base = None if config is not None else read_names(text, kind).get("BASE")
        return None if base is None else config_files.find_base(base)

    return decide


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
    return arguments


def _set_to_none(flag):
    """Gives the keys that were overridden with `None` that value, or refuses it.

    A tuple's parser makes `(None,)` of it. A key that its file declares with a
    placeholder or a reference may be `None` and keeps its type; any other loses it.
    """
    for key, value in config_flags.get_override_values(flag).items():
        if value not in (None, (None,)):
            continue
        name = key.split(".")[-1]
        section = _section(flag.value, key)
        section[name] = None
        if section.get_type(name) is type(None):
            raise InputError(
                f"--config.{key} cannot be None: its file gives it a value that is no "
                "config_dict.placeholder or config_dict.FieldReference."
            )


def _section(config, key):
    """The section that a dotted key's last name is in."""
    return functools.reduce(operator.getitem, key.split(".")[:-1], config)


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
