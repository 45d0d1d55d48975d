"""What training may start from."""

import json

import pytest

from ram_tf import experiment, pretrained
from ram_tf.errors import InputError
from ram_tf.experiment import start

FIRST, SECOND = (f"--training_phase={phase}" for phase in ("first", "second"))


@pytest.mark.parametrize(
    "file",
    [
        "svhn_log_first/weights_f_1000.pth",
        "ram_6_8x8_1_ckpt.pth.tar",
        "weights.pt",
        "save/model.ckpt",
        "save/model.ckpt-1000.index",
    ],
)
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--dataset=svhn", FIRST],
        ["--dataset=svhn", SECOND],
        ["--dataset=svhn"],
    ],
)
def test_weights_of_the_published_code_are_answered_with_what_to_give(
    file, exists, words, understand, tmp_path
):
    path = tmp_path / file
    if exists:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"not ours")
    config = understand(*words, f"--pretrain_checkpoint={path}")
    with pytest.raises(InputError) as raised:
        experiment.check(config)
    line = str(raised.value)
    assert str(path) in line and "the folder of a run" in line
    assert "tools/import_torch_checkpoint.py" in line


def test_a_workdir_may_be_named_as_such_a_file(understand, tmp_path):
    folder = tmp_path / "run.pt"
    folder.mkdir()
    experiment.check(understand(f"--pretrain_checkpoint={folder}"))


def test_an_unknown_packaged_model_is_refused_before_anything_is_trained(understand):
    config = understand("--pretrain_checkpoint=packaged:vgg")
    with pytest.raises(InputError, match="'vgg'.*packaged:ram_digits"):
        experiment.check(config)


class Loaded(Exception):
    """Ends a run where its weights would be loaded from a checkpoint."""


def test_training_starts_from_a_packaged_model(understand, tmp_path, monkeypatch):
    def load_weights(network, checkpoint):
        raise Loaded(checkpoint)

    monkeypatch.setattr(start, "load_weights", load_weights)
    config = understand(
        "--pretrain_checkpoint=packaged:ram_digits",
        "--config.data.test_places=1",
        "--config.runtime.xla=False",
        "--config.runtime.deterministic=False",
    )
    with pytest.raises(Loaded) as loaded:
        experiment.run(config, tmp_path / "run", report=lambda line: None)
    (checkpoint,) = loaded.value.args
    assert checkpoint == pretrained.locate("packaged:ram_digits") / "checkpoints/best"
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert written["train"]["pretrain_checkpoint"] == "packaged:ram_digits"
