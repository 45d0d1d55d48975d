"""Runs of two recurrent layers, killed and gone on with, end with the same numbers.

With places known for some images, and with a zoom.
"""

import json
import sys

import keras
import numpy as np
import pytest

from ram_tf import experiment
from ram_tf.data import known_places
from ram_tf.training import checkpointing
from tests import untrained
from tests.integration.conftest import assert_same_run

# MRAM with places known for some images, and a DRAM that zooms.
KINDS = {"places": "mram", "zoom": "zoom"}


class Killed(BaseException):
    """Nothing is saved or closed on the way out."""


@pytest.fixture
def tiny(root, monkeypatch):
    """Returns a function: kind -> a config of two epochs of five steps each."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(root / "configs")])

    def make(kind):
        import common

        name, shrink, _ = untrained.KINDS[KINDS[kind]]
        config = __import__(name).get_config()
        shrink(config)
        if kind == "zoom":
            config.data.update(smallest=6, largest=12, canvas=(14, 14), test_places=1)
        else:
            config.data = common.digits(digit_size=8, canvas=(14, 14))
            config.data.test_places = 1
        if kind == "places":
            config = common.know_places(config, share=0.3, weight=10.0)
        config.train.update(
            num_glimpses=2,
            batch_size=8,
            epochs=2,
            steps_per_epoch=5,
            steps_per_execution=2,
            checkpoint_every_steps=2,
            picture_every_epochs=100,
        )
        config.eval.update(
            batch_size=24, max_examples=24, mc_samples=1, seeds=1, policies=("learned",)
        )
        config.runtime.xla = False
        config.runtime.mixed_precision = "float32"
        config.runtime.strategy = "one_device"
        return config

    return make


def run(config, workdir):
    keras.utils.set_random_seed(7)  # Whatever the process did before.
    lines = []
    assert experiment.run(config, workdir, report=lines.append) == 0
    return lines


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_run_ends_with_the_same_numbers(tiny, kind, tmp_path, monkeypatch):
    reference, workdir = tmp_path / "reference", tmp_path / "run"
    lines = run(tiny(kind), reference)
    said = any(line.startswith("places are known of 388 of") for line in lines)
    assert said == (kind == "places")
    save, saved = checkpointing.save_checkpoint, []

    def save_and_die(*arguments):
        save(*arguments)
        saved.append(arguments)
        if len(saved) == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpointing, "save_checkpoint", save_and_die)
        with pytest.raises(Killed):
            run(tiny(kind), workdir)
    run(tiny(kind), workdir)
    assert_same_run(workdir, reference)
    logged = (workdir / "metrics.csv").read_text().splitlines()[0].split(",")
    assert ("places" in logged) == (kind == "places") and "val_places" not in logged
    with np.load(workdir / "figures" / "test_glimpses.npz") as drawn:
        sides = drawn["boxes"][..., 0, 2] - drawn["boxes"][..., 0, 0]
        assert drawn["locations"].shape[-1] == (3 if kind == "zoom" else 2)
    assert kind == "zoom" or len(np.unique(sides)) == 1
    assert "test" in json.loads((workdir / "results.json").read_text())


def test_evaluation_of_a_run_that_knew_places_is_told_none(tiny, monkeypatch):
    """The images that are measured are those of a run that knew nothing."""
    config = tiny("places")
    told = experiment.load_data(config, report=lambda line: None)
    monkeypatch.setattr(known_places, "KNOWN_SEED", 1)
    others = experiment.load_data(config, report=lambda line: None)
    assert (told.train.known != others.train.known).any()
    for split in ("validation", "test"):
        for ours, theirs in zip(told.some(split, 8), others.some(split, 8)):
            np.testing.assert_array_equal(ours, theirs)
    assert told.fingerprint == others.fingerprint
