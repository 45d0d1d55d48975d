"""Input that cannot be used: one clear line, status 2, nothing lost."""

import gzip
import json
import re
import resource
import shutil
import signal

import numpy as np
import pytest
from PIL import Image

from tests.integration.conftest import ROOT, assert_refused, read_state


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("--config.train.epoch=3", "no key 'epoch': did you mean 'epochs'?"),
        ("--config.trian.epochs=3", "no key 'trian': did you mean 'train'?"),
        ("--config.colour=3", "no key 'colour'"),
        ("--config.train.epochs=three", "train.epochs=three: invalid literal for int"),
        ("--config.train=3", "config.train=3"),
        ("--lr=fast", "--lr=fast: could not convert"),
        ("--lr", "Missing value for flag --lr"),
        ("--epocs=3", "Unknown command line flag 'epocs'"),
        ("epochs=3", "unexpected argument 'epochs=3'"),
    ],
)
def test_a_wrong_flag_is_named(override, expected, refuse, tmp_path):
    assert expected in refuse("train.py", f"--workdir={tmp_path}/run", override)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("def get_config(:", "SyntaxError: .* line 1"),
        ("rate = 1", "no attribute 'get_config'"),
        ("import nothing_here", "No module named 'nothing_here'"),
        ("def get_config():\n    return 1 / 0", "division by zero"),
        ("just words", "SyntaxError"),
    ],
)
def test_a_broken_config_file_is_explained(content, expected, refuse, tmp_path):
    path = tmp_path / "broken.py"
    path.write_text(content)
    line = refuse("train.py", f"--config={path}", f"--workdir={tmp_path}/run")
    assert re.search(expected, line)


@pytest.mark.parametrize("word", ["--config=nowhere.py", "--config", "--config=/tmp"])
def test_a_missing_config_file_is_named(word, refuse):
    assert "no config file" in refuse("train.py", word)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("--config.family=cat", "unknown family 'cat'"),
        ("--config.data.name=cats", "no data set 'cats'. Known: "),
        ("--config.data.digit_size=30", "canvas of 20 x 20 pixels is smaller"),
        ("--config.data.canvas=(0,3)", "`data.canvas` must be"),
        ("--config.data.validation_fraction=2.0", "between 0 and 1"),
        ("--strategy=many", "unknown runtime.strategy 'many'"),
        ("--mixed_precision=float8", "unknown runtime.mixed_precision 'float8'"),
        ("--batch=5000", "batch of 5000 is larger"),
        ("--config.eval.policies=('mean',)", "must include 'learned'"),
        ("--config.eval.policies=('learned','maen')", "unknown policy 'maen'"),
        ("--config.policy.kind=spiral", "unknown policy.kind 'spiral'"),
        ("--config.policy.first_fraction=2.0", "first_fraction must lie in [0, 1]"),
        ("--config.policy.first_location=(0.1,0.2,0.3)", "both in [-1, 1]"),
        ("--config.policy.first_location=(0,2)", "got (0, 2)"),
        ("--config.runtime.seed=-1", "runtime.seed must lie in"),
        ("--config.train.monitor=val_acuracy", "train.monitor is 'val_acuracy'"),
        ("--config.train.monitor=images_per_second", "'images_per_second', expected"),
        ("--config.train.schedule.kind=stairs", "train.schedule.kind 'stairs'"),
        ("--batch=0", "train.batch_size must be positive, got 0"),
        ("--batchv=0", "eval.batch_size must be positive, got 0"),
        ("--T=0", "train.num_glimpses must be positive, got 0"),
        ("--lr=-1", "train.learning_rate must be positive, got -1"),
        (
            "--config.train.steps_per_execution=0",
            "steps_per_execution must be positive",
        ),
        ("--config.model.retina.size=0", "the config's model cannot be built"),
        ("--config.model.location.stddev=-1.0", "`stddev` must be positive"),
        ("--config.model.core.kind=tree", "unknown model.core.kind 'tree'"),
        ("--config.train.schedule.kind=steep", "unknown train.schedule.kind 'steep'"),
        ("--config.train.schedule.kind=plateau", "does not fit its options"),
        ("--pretrain_checkpoint=nowhere", "no checkpoint nowhere"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(
    override, expected, tiny_config, refuse, tmp_path
):
    workdir = tmp_path / "run"
    assert expected in refuse(
        "train.py", f"--config={tiny_config}", f"--workdir={workdir}", override
    )
    assert not (workdir / "checkpoints").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--training_phase=second"],
            "phase second starts from the weights of phase first",
        ),
        (
            ["--training_phase=third"],
            "phase third starts from the weights of phase second",
        ),
        (["--training_phase=fourth"], "unknown phase 'fourth': this family has first"),
        (["--training_phase=all", "--lr=0.1"], "--lr needs one --training_phase"),
        (["--training_phase=all", "--epochs=3"], "--epochs needs one --training_phase"),
        (["--ccebal=3"], "--ccebal needs one --training_phase"),
        (["--training_phase=third", "--ccebal=much"], "much"),
        (["--training_phase=first", "--ccebal=much"], "--ccebal=much: could not"),
        (
            ["--training_phase=second", "--pretrain_checkpoint=nowhere"],
            "no checkpoint nowhere",
        ),
        (["--dataset=svhn"], "--dataset names a config: give it or --config"),
        (["--T=7"], "7 glimpses are more than the 6 cells"),
        (["--config.data.canvas=(7,8)"], "images of 7x8 pixels do not fit glimpses"),
        (["--config.model.glimpse_size=16"], "do not fit glimpses of 16x16"),
        (["--config.model.glimpse_size=3"], "`glimpse_size` must be even"),
        (["--config.policy.num_samples=0"], "num_samples"),
        (["--config.phases.first.learning_rate=0"], "learning_rate must be positive"),
    ],
)
def test_a_phase_that_cannot_be_trained_is_refused(
    arguments, expected, tiny_pham, refuse, tmp_path
):
    workdir = tmp_path / "run"
    assert expected in refuse(
        "train.py", f"--config={tiny_pham}", f"--workdir={workdir}", *arguments
    )
    assert not list(workdir.glob("**/checkpoints/*"))


def test_overwriting_deletes_nothing_before_all_is_known_to_be_usable(
    tiny_config, trained, refuse, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(trained, workdir)
    for word in ("--config.data.name=cats", "--config.train.monitor=loss_of_time"):
        refuse(
            "train.py",
            f"--config={tiny_config}",
            f"--workdir={workdir}",
            "--overwrite",
            word,
        )
        for name in ("config.json", "results.json", "checkpoints/best/state.json"):
            assert (workdir / name).read_bytes() == (trained / name).read_bytes()


def test_a_data_set_without_a_config_is_named_with_those_that_have_one(refuse):
    line = refuse("train.py", "--dataset=mnits", "--training_phase=first")
    assert "no config for --dataset=mnits" in line and "svhn" in line


@pytest.mark.slow
def test_a_phase_refuses_weights_of_other_sizes(
    tiny_pham, trained_phases, refuse, tmp_path
):
    line = refuse(
        "train.py",
        f"--config={tiny_pham}",
        f"--workdir={tmp_path}/run",
        "--training_phase=second",
        "--config.model.hidden_units=9",
        f"--pretrain_checkpoint={trained_phases}",
    )
    assert "do not fit this model" in line
    assert str(trained_phases / "first") in line
    assert not (tmp_path / "run" / "second" / "checkpoints").exists()


@pytest.mark.slow
def test_a_phase_whose_loss_explodes_loses_nothing(
    tiny_pham, trained_phases, refuse, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(trained_phases / "first", workdir / "first")
    before = {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}
    line = refuse(
        "train.py",
        f"--config={tiny_pham}",
        f"--workdir={workdir}",
        "--training_phase=second",
        "--lr=1e30",
        "--config.train.clip_norm=1e30",
        "--config.train.checkpoint_every_steps=1",
    )
    step = int(re.search(r"the loss was not finite at step (\d+)", line)[1])
    last = workdir / "second" / "checkpoints" / "last"
    assert read_state(last)["step"] == step - 1
    for path, content in before.items():
        assert path.read_bytes() == content


def test_weights_of_another_model_are_refused(tiny_config, trained, refuse, tmp_path):
    line = refuse(
        "train.py",
        f"--config={tiny_config}",
        f"--workdir={tmp_path}/run",
        "--config.model.core.units=9",
        f"--pretrain_checkpoint={trained}",
    )
    assert "do not fit this model" in line and "variables" in line


def test_data_that_are_missing_are_named_with_their_source(refuse, tmp_path):
    mnist = (f"--config={ROOT}/configs/ram_mnist.py", f"--workdir={tmp_path}/run")
    line = refuse("train.py", *mnist, f"--datapath={tmp_path}/nowhere")
    assert f"'{tmp_path}/nowhere'" in line


def test_a_truncated_archive_is_named(real_data, refuse, tmp_path):
    for path in real_data("mnist").iterdir():
        if path.suffix == ".gz":
            shutil.copy(path, tmp_path)
    archive = tmp_path / "train-images-idx3-ubyte.gz"
    if not archive.exists():
        with gzip.open(archive, "w") as file:
            file.write(b"cut short")
    else:
        archive.write_bytes(archive.read_bytes()[:1000])
    line = refuse(
        "train.py",
        f"--config={ROOT}/configs/ram_mnist.py",
        f"--workdir={tmp_path}/run",
        f"--datapath={tmp_path}",
    )
    assert str(archive) in line and "cut short" in line


def test_an_image_that_does_not_decode_is_named(refuse, tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(4):
            pixels = np.full((20, 30, 3), 50 * number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    (tmp_path / "data" / "dogs" / "2.png").write_bytes(b"not a picture")
    line = refuse(
        "train.py",
        f"--config={ROOT}/configs/ram_folder.py",
        f"--workdir={tmp_path}/run",
        f"--datapath={tmp_path}/data",
    )
    assert "'dogs/2.png' cannot be decoded" in line


@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("evaluate", [], "--workdir must have a value"),
        ("evaluate", ["--num_glimpses=x"], "--num_glimpses takes positive integers"),
        ("evaluate", ["--num_glimpses=2,0"], "got '2,0'"),
        (
            "evaluate",
            ["--policy=best"],
            "unknown policy 'best': this model has learned",
        ),
        ("evaluate", ["--policy="], "unknown policy ''"),
        ("evaluate", ["--checkpoint=first"], "no checkpoint first: expected a folder"),
        ("evaluate", ["--seeds=0"], "--seeds=0"),
        ("evaluate", ["--stop_epsilon=1,-1"], "must be 0 or more, got -1"),
        ("evaluate", ["--stop_epsilon=nan"], "must be 0 or more, got nan"),
        ("evaluate", ["--stop=settled:1"], "RAM has no stop rule 'settled'"),
        ("evaluate", ["--stop=settled:1", "--stop_epsilon=1"], "give only one"),
        ("evaluate", ["--split=train"], "<test|validation|all>"),
        ("evaluate", ["more"], "unexpected argument 'more'"),
        ("visualize", ["--output={tmp}/x.foo"], "name ending in one of"),
        ("visualize", ["--output={tmp}/x.png", "--kind=map"], "--kind=map"),
        ("visualize", ["--output={tmp}/x.png", "--policy=best"], "unknown policy"),
        ("visualize", ["--output={tmp}/x.png", "--images=no.png"], "no.png"),
        ("visualize", [], "--output must have a value"),
        ("predict", [], "no image given"),
        ("predict", ["--shard=2/2"], "part I, from 0, of N"),
        ("predict", ["no.png"], "no image file no.png"),
        ("predict", ["{tmp}"], "no image in {tmp}: left out: 1 .txt"),
        ("predict", ["{tmp}/text.txt"], "text.txt' cannot be decoded"),
    ],
)
def test_what_a_tool_cannot_use_is_named(
    script, arguments, expected, trained, refuse, tmp_path
):
    (tmp_path / "text.txt").write_text("hello")
    arguments = [word.format(tmp=tmp_path) for word in arguments]
    if "--workdir" not in expected:
        arguments.append(f"--workdir={trained}")
    line = refuse(f"tools/{script}.py", *arguments)
    assert expected.format(tmp=tmp_path) in line


@pytest.mark.parametrize("script", ["evaluate", "visualize", "predict"])
def test_a_folder_that_is_no_workdir_is_named(script, refuse, tmp_path):
    picture = tmp_path / "x.png"
    Image.new("L", (20, 20)).save(picture)
    more = {"visualize": [f"--output={tmp_path}/y.png"], "predict": [str(picture)]}
    line = refuse(f"tools/{script}.py", f"--workdir={tmp_path}", *more.get(script, []))
    assert f"cannot read {tmp_path}/config.json" in line and "folder of a run" in line


@pytest.mark.parametrize("size", ["20", "20,20,1", "x,y", "0,5"])
def test_an_image_size_is_two_numbers(size, tiny_config, refuse):
    line = refuse(
        "tools/benchmark.py", f"--config={tiny_config}", f"--image_size={size}"
    )
    assert "--image_size takes 2 positive integers" in line


def test_predictions_are_replaced_by_whole_ones_only(
    trained, refuse, succeed, tmp_path
):
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.png", "c.png", "d.png"):
        Image.new("L", (20, 20), 40 * ord(name[0]) % 256).save(images / name)
    (images / "b.png").write_bytes(b"not a picture")
    output = tmp_path / "out" / "predictions.csv"
    output.parent.mkdir()
    output.write_text("kept")
    arguments = (
        "tools/predict.py",
        f"--workdir={trained}",
        images,
        f"--output={output}",
    )
    line = refuse(*arguments, "--batch_size=1")
    assert "b.png" in line
    assert output.read_text() == "kept"
    line = refuse(*arguments, "--num_glimpses=1")
    assert "was begun with other files, weights or options" in line
    (images / "b.png").unlink()
    assert "going on after 1 images" in succeed(*arguments).out
    expected = succeed(*arguments[:-1]).out
    assert output.read_text() == expected
    assert len(list(output.parent.iterdir())) == 1


def test_a_loss_that_explodes_stops_the_run_and_names_the_step(
    tiny_config, refuse, tmp_path
):
    workdir = tmp_path / "run"
    line = refuse(
        "train.py",
        f"--config={tiny_config}",
        f"--workdir={workdir}",
        "--lr=1e30",
        "--config.train.clip_norm=1e30",
        "--config.train.checkpoint_every_steps=1",
    )
    step = int(re.search(r"the loss was not finite at step (\d+)", line)[1])
    assert "train.learning_rate" in line
    assert read_state(workdir / "checkpoints" / "last")["step"] == step - 1
    assert not (workdir / "results.json").exists()


@pytest.mark.slow
def test_a_full_disk_leaves_the_last_checkpoint_whole(tiny_config, start, tmp_path):
    workdir = tmp_path / "run"
    last = workdir / "checkpoints" / "last"
    command = start("train.py", f"--config={tiny_config}", f"--workdir={workdir}")
    command.wait_for(lambda: read_state(last)["step"])
    # As if the disk were full from now on: no file may grow past 1 kB.
    resource.prlimit(command.pid, resource.RLIMIT_FSIZE, (1000, 1000))
    result = command.finish()
    assert_refused("train.py", result)
    assert "File too large" in result.err
    assert not list(workdir.rglob("*.writing"))
    state = json.loads((last / "state.json").read_text())
    assert state["step"] > 0


@pytest.mark.slow
def test_a_glimpse_larger_than_the_image_is_only_a_warning(
    tiny_config, start, tmp_path
):
    workdir = tmp_path / "run"
    command = start(
        "train.py",
        f"--config={tiny_config}",
        f"--workdir={workdir}",
        "--config.model.retina.size=30",
    )
    command.wait_for((workdir / "checkpoints" / "last").exists)
    result = command.send(signal.SIGTERM).finish()
    assert (result.status, result.err) == (143, "")
    assert "warning: a patch of 60 pixels is larger than the image" in result.out
