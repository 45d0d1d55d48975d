"""What a phase starts with and ends with does not depend on what the process did.

Every family of several phases, trained in this process: all phases by one call, one
call a phase, and killed at any checkpoint.
"""

import shutil
import sys

import keras
import numpy as np
import pytest

from ram_tf import evaluation, experiment
from ram_tf.evaluation import reports
from ram_tf.experiment import phase_run
from ram_tf.families import FAMILIES
from ram_tf.layers import backbone as backbones
from ram_tf.pictures import glimpses, record
from ram_tf.training import checkpointing
from ram_tf.training.checkpointing import Checkpointing
from tests.integration.conftest import assert_same_run, read_state

SEVERAL = [name for name, family in FAMILIES.items() if len(family.phases) > 1]
PHASES = [(name, phase.name) for name in SEVERAL for phase in FAMILIES[name].phases]


class Killed(BaseException):
    """Nothing is saved or closed on the way out."""


def make_tiny(include_top, weights, input_shape):
    """An application of one convolution."""
    del include_top, weights
    conv = keras.layers.Conv2D(3, 3, 4, "same", activation="relu", name="conv")
    return keras.Sequential([keras.Input(input_shape), conv])


def shrink_pham(config):
    config.model.update(
        {"glimpse_size": 4, "feature_units": 4, "latent_units": 3, "hidden_units": 6}
    )
    config.model.num_flows = 0
    config.policy.num_samples = 2


def shrink_fine_grained(config):
    config.model.backbone.kind = "tiny"
    config.model.size = 8
    config.model.core.units = 4
    config.model.emission.units = 3


MADE_FROM = {
    "fine_grained": ("photos_small", shrink_fine_grained),
    "pham": ("pham_digits", shrink_pham),
}


@pytest.fixture(scope="module")
def configs(root):
    """Family -> a config of synthetic images that trains four steps a phase."""
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(backbones.BACKBONES, "tiny", (make_tiny, None))
        patch.setattr(sys, "path", [*sys.path, str(root / "configs")])
        for family in SEVERAL:
            module, shrink = MADE_FROM[family]
            config = __import__(module).get_config()
            channels = 3 if family == "fine_grained" else 1
            with config.unlocked():
                config.data = {
                    "name": "synthetic",
                    "datapath": None,
                    "image_size": 16,
                    "patch_size": 2,
                    "channels": channels,
                    "num_train": 24,
                    "num_test": 4,
                    "num_classes": 2,
                }
            shrink(config)
            for phase in config.phases.values():
                phase.update({"epochs": 2, "learning_rate": 1e-3})
                for key in ("batch_size", "steps_per_epoch"):
                    if key in phase:
                        phase[key] = None
            config.train.update(
                {
                    "num_glimpses": 2,
                    "batch_size": 4,
                    "steps_per_epoch": 2,
                    "steps_per_execution": 1,
                    "checkpoint_every_steps": 1,
                    "picture_every_epochs": 100,
                }
            )
            config.eval.update(
                {"batch_size": 4, "mc_samples": 1, "seeds": 1, "policies": ("learned",)}
            )
            config.runtime.update(
                {"xla": False, "strategy": "one_device", "deterministic": False}
            )
            made[family] = config
        yield made


class NoLoop:
    """Stands for the loop: a phase ends with what it began with."""

    def __init__(self, trainer, strategy, **options):
        self.trainer = trainer

    def train(self, batches, *, callbacks, **options):
        (keeper,) = (each for each in callbacks if isinstance(each, Checkpointing))
        keeper.set_model(self.trainer)
        keeper.on_train_begin()
        keeper.on_epoch_end(0, {keeper.monitor: 0.0, "images_per_second": 1.0})


@pytest.fixture(scope="module")
def references(configs, tmp_path_factory):
    """Family -> its workdir, all phases by one call, and what each of them began with.

    Nothing is learned in any of them, nor tested. The workdirs are not to be written
    to.
    """
    found = {}
    zero = {"mean": [0.0], "standard_error": [0.0]}
    measured = dict.fromkeys(("accuracy", "accuracy_one_sample"), zero)
    compared = {"policies": {"learned": measured}, "num_examples": 4}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phase_run, "Loop", NoLoop)
        patch.setattr(evaluation, "compare_policies", lambda *_, **more: compared)
        for module, name in (
            (record, "record"),
            (glimpses, "plot_recording"),
            (reports, "report_results"),
        ):
            patch.setattr(module, name, lambda *_: None)
        for family, config in configs.items():
            workdir = tmp_path_factory.mktemp(family)
            with pytest.MonkeyPatch.context() as watched:
                found[family] = workdir, watch_starts(watched)
                train(config, workdir)
    return found


def kill(patch, count):
    """Ends the process, as far as it can be seen, when it wrote so many checkpoints."""
    save, saved = checkpointing.save_checkpoint, []

    def save_and_die(*arguments):
        save(*arguments)
        saved.append(arguments)
        if len(saved) == count:
            raise Killed

    patch.setattr(checkpointing, "save_checkpoint", save_and_die)


def watch_starts(patch, stop=False):
    """Fills a dictionary with the weights that phases begin with, by their names."""
    starts, introduce = {}, reports.introduce

    def note(config, phase, dataset, network, *more):
        starts[phase.name] = network.get_weights()
        if stop:
            raise Killed
        introduce(config, phase, dataset, network, *more)

    patch.setattr(reports, "introduce", note)
    return starts


def train(config, workdir, phase="all"):
    keras.config.set_dtype_policy("float32")
    assert experiment.run(config, workdir, phase=phase, report=lambda line: None) == 0


def copy_phases(workdir, target, phases):
    for name in phases:
        shutil.copytree(workdir / name, target / name)


def names_of(family):
    return [phase.name for phase in FAMILIES[family].phases]


# Where a phase begins


@pytest.mark.parametrize(("family", "phase"), PHASES)
def test_a_phase_begins_with_the_same_weights_by_itself(
    family, phase, references, configs, tmp_path, monkeypatch
):
    reference, expected = references[family]
    before = names_of(family)[: names_of(family).index(phase)]
    copy_phases(reference, tmp_path, before)
    starts = watch_starts(monkeypatch, stop=True)
    with pytest.raises(Killed):
        train(configs[family], tmp_path, phase)
    for ours, theirs in zip(starts[phase], expected[phase], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("family", SEVERAL)
def test_a_first_phase_has_the_seed_of_the_run(family, references, configs):
    _, expected = references[family]
    config = configs[family]
    dataset = experiment.load_data(config)
    keras.utils.set_random_seed(config.runtime.seed)
    network = experiment.build_network(config, dataset.image_shape, dataset.num_classes)
    first = names_of(family)[0]
    for ours, theirs in zip(network.get_weights(), expected[first], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_each_later_phase_and_each_run_draws_weights_of_its_own(
    references, configs, tmp_path, monkeypatch
):
    """What `attend` does not take over is neither `pretrain`'s nor another seed's."""
    reference, expected = references["fine_grained"]
    config = experiment.vary(
        configs["fine_grained"],
        {
            "runtime.seed": 1,
            "phases.attend.pretrain_checkpoint": str(reference / "pretrain"),
        },
    )
    starts = watch_starts(monkeypatch, stop=True)
    with pytest.raises(Killed):
        train(config, tmp_path, "attend")
    three = zip(starts["attend"], expected["attend"], expected["pretrain"])
    drawn = [each for each in three if (each[0] != each[1]).any()]
    assert drawn and all((mine != first).any() for _, mine, first in drawn)


def test_a_control_begins_with_the_weights_of_what_it_is_compared_with(
    references, configs, tmp_path, monkeypatch
):
    reference, expected = references["fine_grained"]
    config = experiment.vary(
        configs["fine_grained"],
        {
            "policy.kind": "center",
            "phases.attend.pretrain_checkpoint": str(reference),
        },
    )
    starts = watch_starts(monkeypatch, stop=True)
    with pytest.raises(Killed):
        train(config, tmp_path, "attend")
    for ours, theirs in zip(starts["attend"], expected["attend"], strict=True):
        np.testing.assert_array_equal(ours, theirs)


# Where it ends


@pytest.mark.slow
# PHAM is killed in each of its phases in integration/test_phases.py.
@pytest.mark.parametrize("family", ["fine_grained"])
def test_killed_between_phases_and_in_the_last_one_all_ends_the_same(
    family, configs, tmp_path
):
    """And one call a phase."""
    reference, tmp_path = tmp_path / "reference", tmp_path / "run"
    train(configs[family], reference)
    *before, last = names_of(family)
    copy_phases(reference, tmp_path, before[:1])
    for phase in before[1:]:
        train(configs[family], tmp_path, phase)
        assert_same_run(tmp_path / phase, reference / phase)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        kill(patch, 4)  # After the first step of the second epoch.
        train(configs[family], tmp_path, last)
    assert read_state(tmp_path / last / "checkpoints" / "last")["step"] == 3
    train(configs[family], tmp_path)
    for phase in (*before, last):
        assert_same_run(tmp_path / phase, reference / phase)
