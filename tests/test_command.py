"""The program `ram-tf`, its commands, and how their command lines are read."""

import io
import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from absl import flags

import ram_tf
from ram_tf.commands import (
    __main__,
    ablate,
    benchmark,
    command_line,
    config_files,
    evaluate,
    train,
    tune,
)
from ram_tf.errors import InputError

COMMANDS = __main__.COMMANDS
# What a module of the package is called in a checkout, where it is not tools/NAME.py.
SCRIPTS = {
    "train": "train.py",
    "export": "export_saved_model.py",
    "import-checkpoint": "tools/import_torch_checkpoint.py",
}


@pytest.fixture
def parsed(monkeypatch):
    """Returns a function that parses words as a process of one command does."""
    before = set(flags.FLAGS)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", [])

    def forget():
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)

    def parse(command, *words):
        forget()
        command_line.define(command)
        command_line.parse(command, ["program", *map(str, words)])

    yield parse
    forget()


def ram_tf_program(*words):
    """Runs `ram-tf` where TensorFlow cannot be imported."""
    code = (
        "import sys; sys.modules['tensorflow'] = None; sys.modules['keras'] = None; "
        "from ram_tf.commands.__main__ import main; sys.exit(main())"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=pathlib.Path(ram_tf.__file__).parents[1],
        capture_output=True,
        text=True,
    )


# The program


def test_every_module_is_a_command_with_a_script_and_a_docstring(root):
    files = (root / "ram_tf" / "commands").glob("*.py")
    shared = {"__init__", "__main__", "command_line", "config_files"}
    modules = {file.stem for file in files} - shared
    assert modules == {name.replace("-", "_") for name in COMMANDS}
    for name in COMMANDS:
        module = __main__.load(name)
        assert f"ram-tf {name} " in module.__doc__
        script = root / SCRIPTS.get(name, f"tools/{name.replace('-', '_')}.py")
        source = script.read_text()
        assert len(source.splitlines()) < 10
        assert module.__name__.rpartition(".")[2] + ".COMMAND" in source
        assert f"`ram-tf {name}`" in source


@pytest.mark.parametrize("words", [[], ["--help"], ["help"], ["-h"]])
def test_the_program_lists_its_commands(words):
    done = ram_tf_program(*words)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line]
    listed = {words[0]: words[1] for words in lines if words[0] in COMMANDS}
    assert list(listed) == list(COMMANDS)
    assert all(line.endswith(".") for line in listed.values())


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("trian", "did you mean train?"),
        ("cross_validate", "did you mean cross-validate?"),
        ("--config=ram_mnist", "known: train, evaluate"),
    ],
)
def test_an_unknown_command_is_one_line_with_a_suggestion(word, said):
    done = ram_tf_program(word)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"ram-tf: error: no command {word!r}: ")
    assert said in done.stderr and done.stderr.count("\n") == 1


def test_a_command_shows_its_own_flags(capsys, monkeypatch, parsed):
    monkeypatch.setattr(sys, "argv", ["ram-tf train", "--config=nowhere", "--help"])
    with pytest.raises(SystemExit) as end:
        command_line.run(train.COMMAND)
    assert end.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Trains a model, or goes on with a run that was stopped."
    assert "  --batch: Images of a training step. (train.batch_size)" in lines
    assert any(line.startswith("  --config: Name of a config") for line in lines)
    assert not any("--output" in line for line in lines)
    assert max(map(len, lines)) <= 88


def test_each_flag_of_each_command_has_a_sentence(parsed):
    for name in COMMANDS:
        names = command_line.define(__main__.load(name).COMMAND)
        assert names
        for flag in names:
            text = flags.FLAGS[flag].help
            assert " " in text and "." in text, (name, flag)
            delattr(flags.FLAGS, flag)


def test_a_refused_line_begins_with_the_command():
    done = ram_tf_program("evaluate", "--seeds=0", "--workdir=x")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("ram-tf evaluate: error: flag --seeds=0")


# Names of configs, spaces and variants


@pytest.fixture
def installed(tmp_path, monkeypatch, root):
    """The package as a wheel has it: its configs inside, nothing beside."""
    package = tmp_path / "site-packages" / "ram_tf"
    shutil.copytree(root / "configs", package / "configs")
    monkeypatch.setattr(config_files, "PACKAGE", package)
    monkeypatch.chdir(tmp_path)
    return package


@pytest.mark.parametrize("place", ["checkout", "installed"])
@pytest.mark.parametrize(
    ("kind", "name", "file"),
    [
        ("config", "ram_mnist", "ram_mnist.py"),
        ("space", "ram", "spaces/ram.py"),
        ("variants", "ram_glimpses", "variants/ram_glimpses.py"),
    ],
)
def test_a_name_is_a_file_that_comes_with_the_package(
    place, kind, name, file, request, root
):
    folder = root
    if place == "installed":
        folder = request.getfixturevalue("installed")
    assert config_files.find(name, kind) == folder / "configs" / file


def test_a_path_is_taken_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("ram_mnist").write_text("")
    assert config_files.find("ram_mnist") == pathlib.Path("ram_mnist")


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("config", "ram_mnits", "no config file 'ram_mnits': .* mean ram_mnist"),
        ("config", "configs/ram_digit.py", "did you mean ram_digits"),
        ("config", "zzz", "active_ram_mnist, .*translated_mnist"),
        ("config", "common", "no config file 'common'"),
        ("space", "rom", "no space file 'rom': .* SPACE, .* mean ram?"),
        ("variants", "ram_glimpse", "VARIANTS, .* mean ram_glimpses"),
    ],
)
def test_what_is_neither_names_the_nearest(kind, text, said):
    with pytest.raises(InputError, match=said):
        config_files.find(text, kind)


@pytest.mark.parametrize("place", ["checkout", "installed"])
@pytest.mark.parametrize("base", ["configs/ram_digits.py", "ram_digits"])
def test_a_base_is_a_path_beside_the_configs_or_a_name(place, base, request, root):
    folder = root
    if place == "installed":
        folder = request.getfixturevalue("installed")
    assert config_files.find_base(base) == folder / "configs" / "ram_digits.py"


@pytest.mark.parametrize(
    ("command", "words", "file"),
    [
        (train.COMMAND, [], "ram_digits"),
        (train.COMMAND, ["--config.train.epochs=5", "--config", "ram_mnist"], None),
        (train.COMMAND, ["-config=ram_mnist", "--overwrite"], "ram_mnist"),
        (train.COMMAND, ["--dataset", "digits", "--T=2"], "pham_digits"),
        (train.COMMAND, ["--", "--config=ram_mnist"], "ram_digits"),
        (tune.COMMAND, ["--space=pham"], "pham_digits"),
        (tune.COMMAND, ["--space=pham", "--config=ram_mnist"], "ram_mnist"),
        (ablate.COMMAND, ["--variants", "active_ram"], "active_ram_mnist"),
    ],
)
def test_the_config_comes_first_whatever_chose_it(
    command, words, file, root, monkeypatch
):
    monkeypatch.setattr(sys, "path", [])
    path = root / "configs" / f"{file or 'ram_mnist'}.py"
    program, first, *rest = command_line.choose_config(command, ["program", *words])
    assert (program, first) == ("program", f"--config={path}")
    assert sys.path == [str(path.parent)]
    if "--config.train.epochs=5" in words:
        assert rest == ["--config.train.epochs=5"]


def test_a_config_of_ones_own_can_build_on_those_with_names(
    tmp_path, root, monkeypatch
):
    monkeypatch.setattr(sys, "path", [])
    file = tmp_path / "mine.py"
    file.write_text("import ram_digits")
    command_line.choose_config(train.COMMAND, ["program", f"--config={file}"])
    assert sys.path == [str(tmp_path), str(root / "configs")]


# Short names


def test_short_names_set_their_keys_beside_what_a_phase_was_given(parsed):
    parsed(
        train.COMMAND,
        "--config=pham_digits",
        "--batch=7",
        "--T",
        "3",
        "--datapath=None",
        "--config.phases.first.steps_per_epoch=2",
        "--config.train.steps_per_epoch=9",
    )
    expected = {
        "phases.first.steps_per_epoch": 2,
        "train.steps_per_epoch": 9,
        "train.batch_size": 7,
        "train.num_glimpses": 3,
    }
    assert command_line.asked(train.COMMAND) == expected
    config = command_line.read_config(train.COMMAND)
    assert (config.train.batch_size, config.train.num_glimpses) == (7, 3)
    # One phase was given its own; the others follow what holds for all.
    assert config.phases.first.steps_per_epoch == 2
    assert config.phases.second.steps_per_epoch is None
    assert config.data.datapath is None


def test_a_short_name_beside_its_key_is_refused(parsed):
    parsed(benchmark.COMMAND, "--batch=7", "--config.train.batch_size=7")
    with pytest.raises(InputError, match="--batch and --config.train.batch_size are"):
        command_line.read_config(benchmark.COMMAND)


def test_a_short_name_reads_its_type(parsed):
    with pytest.raises(InputError, match="--batch=many: invalid literal for int"):
        parsed(benchmark.COMMAND, "--batch=many")


def test_a_benchmark_times_the_training_of_the_config_that_it_measures(parsed):
    parsed(
        benchmark.COMMAND,
        "--batch=7",
        "--config.data.canvas",
        "30",
        "--config.model.location.stddev=0.25",
        "--config.eval.policies=('learned','mean')",
        "--config.train.clip_norm=None",
        "--config.runtime.xla=False",
        "--config=ram_digits",
    )
    config = command_line.read_config(benchmark.COMMAND)
    words = benchmark.training_words(command_line.asked(benchmark.COMMAND))
    assert words[:3] == ["-m", "ram_tf.commands", "train"]
    parsed(train.COMMAND, *words[3:])
    again = train.configure()
    assert again == config and again.data.canvas == (30,)
    assert again.train.clip_norm is None and not again.runtime.xla


def test_a_command_without_a_config_takes_none(parsed):
    with pytest.raises(InputError, match="Unknown command line flag 'config'"):
        parsed(evaluate.COMMAND, "--workdir=x", "--config=ram_mnist")


# Refused before anything is parsed


@pytest.mark.parametrize("where", ["environment", "file"])
def test_another_backend_of_keras_is_refused_in_one_line(
    where, monkeypatch, tmp_path, capsys
):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if where == "environment":
        monkeypatch.setenv("KERAS_BACKEND", "jax")
    else:
        (tmp_path / "keras.json").write_text(json.dumps({"backend": "torch"}))
    monkeypatch.setattr(sys, "argv", ["train.py", "--no_such_flag"])
    with pytest.raises(SystemExit) as end:
        command_line.run(command_line.Command(lambda arguments: None))
    line = capsys.readouterr().err
    assert end.value.code == 2 and line.count("\n") == 1
    assert "TensorFlow alone" in line and "KERAS_BACKEND=tensorflow" in line
    with pytest.raises(InputError, match="TensorFlow alone"):
        _ = ram_tf.RAM
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert ram_tf.RAM.__name__ == "RAM"


def test_windows_is_refused_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "argv", ["train.py", "--no_such_flag"])
    with pytest.raises(SystemExit) as end:
        command_line.run(command_line.Command(lambda arguments: None))
    line = capsys.readouterr().err
    assert end.value.code == 2 and line.count("\n") == 1
    assert "runs on Linux and macOS" in line


# Paths

# Each command, and its flags that are paths, in the order of the commands.
PATHS = {
    "train": ["workdir", "logfolder", "datapath", "pretrain_checkpoint"],
    "evaluate": ["workdir", "checkpoint", "datapath", "json", "plot"],
    "predict": ["workdir", "checkpoint", "output"],
    "visualize": ["workdir", "checkpoint", "datapath", "output"],
    "export": ["workdir", "checkpoint", "output"],
    "tune": ["workdir", "datapath", "pretrain_checkpoint"],
    "ablate": ["workdir", "datapath"],
    "cross-validate": ["workdir", "datapath"],
    "benchmark": ["workdir", "datapath", "saved_model", "json"],
    "serve-client": ["output"],
    "import-checkpoint": ["workdir", "checkpoint"],
    "write-pyramid": ["output"],
}


# What they do not start without.
NEEDED = {
    "evaluate": ["workdir=x"],
    "predict": ["workdir=x"],
    "visualize": ["workdir=x", "output=x"],
    "export": ["workdir=x", "output=x"],
    "tune": ["workdir=x", "space=ram", "config=ram_digits"],
    "ablate": ["workdir=x", "variants=active_ram", "config=ram_digits"],
    "cross-validate": ["workdir=x"],
    "serve-client": ["model=x"],
    "import-checkpoint": ["workdir=x", "checkpoint=x"],
    "write-pyramid": ["output=x"],
}


def needed(name, but=None):
    words = NEEDED.get(name, [])
    return [f"--{word}" for word in words if word.partition("=")[0] != but]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_that_is_a_path_knows_home_and_refuses_addresses(
    name, parsed, monkeypatch, tmp_path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    command = __main__.load(name).COMMAND
    for flag in PATHS[name]:
        words = needed(name, flag)
        parsed(command, *words, f"--{flag}=~/it's, here")
        assert flags.FLAGS[flag].value == f"{tmp_path}/it's, here"
        with pytest.raises(InputError, match="only files of this machine") as raised:
            parsed(command, *words, f"--{flag}=gs://bucket/x")
        assert "'gs://bucket/x' is an address (gs)" in str(raised.value)


def test_what_reads_as_a_path_is_one(parsed):
    before = set(flags.FLAGS)
    said = re.compile(r"^(Folder|File|CSV file|Picture (to write|of)|Where)\b")
    for name in COMMANDS:
        parsed(__main__.load(name).COMMAND, *needed(name))
        own = {each: flags.FLAGS[each].help for each in set(flags.FLAGS) - before}
        found = {each for each, text in own.items() if said.search(text)}
        assert found <= set(PATHS[name]), name


@pytest.mark.parametrize("where", ["--config=~/own.py", "--config ~/own.py"])
def test_a_config_is_found_at_home(where, parsed, monkeypatch, tmp_path, root):
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(root / "configs" / "ram_digits.py", tmp_path / "own.py")
    parsed(train.COMMAND, *where.split())
    assert train.configure().data.name == "digits"


def test_images_and_folders_are_found_at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [])
    command = command_line.Command(lambda arguments: None, positional="images")
    words = ["program", "~/a, b", "./c"]
    assert command_line.parse(command, words) == [f"{tmp_path}/a, b", "./c"]
    with pytest.raises(InputError, match="'https://x/a.png' is an address"):
        command_line.parse(command, ["program", "https://x/a.png"])


def test_a_comma_in_the_name_of_a_file_separates_nothing(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a.png", "b, c,d.png", "e.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "b").mkdir()
    for values, expected in (
        (None, []),
        (["a.png"], ["a.png"]),
        (["a.png,b, c,d.png,~/e.png"], ["a.png", "b, c,d.png", f"{tmp_path}/e.png"]),
        (["b, c,d.png", "a.png"], ["b, c,d.png", "a.png"]),
        (["no.png,a.png,nor"], ["no.png", "a.png", "nor"]),
    ):
        assert command_line.paths(values) == expected


STOPPING = ("benchmark", "evaluate", "export", "predict")


@pytest.mark.parametrize("name", STOPPING)
def test_when_looking_stops_is_read_alike_by_every_command(name, parsed):
    words = ["--workdir=a", "--output=b"] if name == "export" else ["--workdir=a"]
    command = __main__.load(name).COMMAND
    for given, expected in (
        ([], []),
        (["--stop=settled:1"], ["settled:1"]),
        (["--stop=settled:1,2"], ["settled:1", "settled:2"]),
        (["--stop_epsilon=0.5,1"], [0.5, 1.0]),
    ):
        parsed(command, *words, *given)
        assert command_line.stops() == expected
    for given, said in (
        (["--stop=1"], "takes NAME:NUMBER, as settled:2, got '1'"),
        (["--stop="], "takes NAME:NUMBER"),
        (["--stop_epsilon="], "takes a number, got ''"),
        (["--stop_epsilon=x"], "takes a number, got 'x'"),
        (["--stop=settled:1", "--stop_epsilon=1"], "give only one"),
    ):
        parsed(command, *words, *given)
        with pytest.raises(InputError, match=re.escape(said)):
            command_line.stops()
    parsed(command, *words, "--stop=settled:1,2")
    with pytest.raises(InputError, match="one number says when to stop here, got 2"):
        command_line.one_stop()


def test_a_name_that_is_no_text_is_printed_as_its_own_bytes():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    command_line.print_any_name(stream)
    print("caf\udce9.png", file=stream, flush=True)
    assert stream.buffer.getvalue() == b"caf\xe9.png\n"
    command_line.print_any_name(io.StringIO())  # It prints anything as it is.
