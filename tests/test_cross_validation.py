"""Folds, a control on the same features, and what a phase starts from."""

import functools
import json
import pathlib
import sys

import keras
import numpy as np
import pytest

from ram_tf import evaluation, experiment, families, layers
from ram_tf import pretrained as pretrained_weights
from ram_tf.errors import InputError
from ram_tf.layers import backbone as backbones
from ram_tf.studies import cross_validation
from tests.photographs import write_photographs

NUM_EACH = 5


def make_tiny(include_top, weights, input_shape, units=5):
    """An application of one convolution and a batch normalisation."""
    del include_top, weights
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Conv2D(units, 3, 4, "same", activation="relu", name="conv"),
            keras.layers.BatchNormalization(name="norm"),
        ]
    )


@pytest.fixture(scope="module")
def config(root, tmp_path_factory):
    """Small photographs through both phases, in this process."""
    folder = write_photographs(tmp_path_factory.mktemp("photographs"), NUM_EACH)
    with pytest.MonkeyPatch.context() as patch:
        wide = functools.partial(make_tiny, units=7)
        patch.setitem(backbones.BACKBONES, "tiny", (make_tiny, None))
        patch.setitem(backbones.BACKBONES, "wide", (wide, None))
        patch.setattr(sys, "path", [*sys.path, str(root / "configs")])
        import photos_small

        config = photos_small.get_config()
        config.data.datapath = str(folder)
        config.data.square = 32
        config.data.validation_fraction = 0.25
        config.model.backbone.kind = "tiny"
        config.model.size = 16
        config.model.core.units = 6
        config.model.emission.units = 4
        config.phases.pretrain.epochs = 1
        config.phases.attend.epochs = 1
        config.phases.attend.batch_size = 4
        config.train.num_glimpses = 2
        config.train.batch_size = 4
        config.train.picture_every_epochs = 100
        config.eval.batch_size = 4
        config.eval.mc_samples = 2
        config.eval.policies = ("learned",)
        config.runtime.strategy = "one_device"
        config.runtime.deterministic = False
        yield config


@pytest.fixture(scope="module")
def folds(config, tmp_path_factory):
    """The workdir, what was said, and how many paths each side was tested with."""
    workdir = tmp_path_factory.mktemp("folds")
    lines, paths = [], []

    class Watched(evaluation.Evaluator):
        def measure(self, *args):
            paths.append(self.mc_samples)
            return super().measure(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "Evaluator", Watched)
        assert not cross_validation.run(
            config, workdir, num_folds=2, report=lines.append
        )
    return workdir, lines, paths


@pytest.fixture(scope="module")
def pretrained(folds):
    """The workdir of a pre-training."""
    return folds[0] / "fold_0" / "learned"


def weights_of(folder, part):
    return getattr(experiment.restore(folder).network, part).get_weights()


def assert_same(ours, theirs):
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def attend(config, workdir, checkpoint, **changes):
    """Trains the attention phase alone, for an epoch."""
    varied = experiment.vary(
        config,
        {
            "data.num_folds": 2,
            "data.fold": 0,
            "train.pretrain_checkpoint": str(checkpoint),
            **changes,
        },
    )
    experiment.run(varied, workdir, phase="attend", report=lambda line: None)


# Folds


@pytest.mark.slow
def test_every_picture_is_tested_once_by_both(folds):
    workdir, lines, paths = folds
    found = json.loads((workdir / "cross_validation.json").read_text())
    assert found["num_examples"] == 3 * NUM_EACH
    accuracy = found["accuracy"]
    difference = accuracy["learned"] - accuracy["center"]
    assert found["difference"]["mean"] == pytest.approx(difference)
    # How many pictures one side alone had right follows from mean and error.
    count, mean = 3 * NUM_EACH, found["difference"]["mean"]
    square = (count - 1) * found["difference"]["standard_error"] ** 2 + mean**2
    apart, ahead = count * square, count * mean
    assert apart == pytest.approx(round(apart), abs=1e-9)
    assert abs(round(ahead)) <= round(apart) <= count
    assert round(apart) % 2 == round(ahead) % 2
    assert any("paired by picture" in line for line in lines)
    # One path each, though runs average two.
    assert found["mc_samples"] == 1 and paths == [1] * 4


def test_several_paths_are_not_compared_with_one(config, tmp_path):
    with pytest.raises(InputError, match="'center' has one path"):
        cross_validation.run(config, tmp_path / "run", mc_samples=2)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_control_starts_from_the_same_features(folds):
    for fold in (0, 1):
        folder = folds[0] / f"fold_{fold}"
        learned, control = (
            experiment.restore(folder / name / "attend")
            for name in ("learned", "center")
        )
        before = weights_of(folder / "learned" / "pretrain", "backbone")
        assert_same(learned.network.backbone.get_weights(), before)
        assert_same(control.network.backbone.get_weights(), before)
        assert control.pick() is control.pick("center")
        assert learned.pick() is learned.pick("mean")


@pytest.mark.slow
def test_what_is_complete_is_not_trained_again(folds, config):
    workdir, *_ = folds
    before = (workdir / "cross_validation.json").read_text()
    lines = []
    cross_validation.run(config, workdir, num_folds=2, report=lines.append)
    assert not any("starts from" in line for line in lines)
    assert (workdir / "cross_validation.json").read_text() == before


# Where a phase starts


class _HeardEnough(Exception):
    """Ends a run whose training nobody looks at."""


@pytest.mark.slow
def test_attention_of_other_sizes_starts_from_a_pre_trained_backbone(
    config, pretrained, tmp_path
):
    sizes = {"model.core.units": 9, "model.num_scales": 1, "model.start_size": 2}
    attend(config, tmp_path / "run", pretrained, **sizes)
    ours = weights_of(tmp_path / "run" / "attend", "backbone")
    assert_same(ours, weights_of(pretrained / "pretrain", "backbone"))


@pytest.mark.slow
def test_a_backbone_file_stands_for_pre_training(config, tmp_path):
    made = layers.Backbone("tiny")
    made.build((None, 16, 16, 3))
    file = tmp_path / "backbone.weights.h5"
    made.network.save_weights(file)
    attend(config, tmp_path / "run", file)
    assert_same(weights_of(tmp_path / "run" / "attend", "backbone"), made.get_weights())


@pytest.mark.slow
def test_another_backbone_is_refused(config, pretrained, tmp_path):
    with pytest.raises(InputError, match="do not fit"):
        attend(config, tmp_path / "run", pretrained, **{"model.backbone.kind": "wide"})


@pytest.mark.slow
def test_a_start_given_to_all_phases_is_the_first_one_s(config, folds, tmp_path):
    file = tmp_path / "backbone.weights.h5"
    folder = folds[0] / "fold_0" / "learned" / "pretrain"
    experiment.restore(folder).network.backbone.network.save_weights(file)
    varied = experiment.vary(config, {"train.pretrain_checkpoint": str(file)})
    starts = []

    def listen(line):
        if "starts from" in line:
            starts.append(line)
        if line.startswith("attend starts"):
            raise _HeardEnough

    with pytest.raises(_HeardEnough):
        experiment.run(varied, tmp_path / "run", report=listen)
    assert starts == [
        f"pretrain starts from the weights of {file}",
        "attend starts from the weights of "
        f"{tmp_path / 'run' / 'pretrain' / 'checkpoints' / 'best'}",
    ]


@pytest.mark.slow
def test_attention_goes_on_from_attention_with_all_it_learned(
    config, pretrained, tmp_path
):
    stays = {"train.learning_rate": 1e-30, "phases.attend.learning_rate": 1e-30}
    attend(config, tmp_path / "run", pretrained / "attend", **stays)
    ours, theirs = (
        experiment.restore(folder / "attend").network
        for folder in (tmp_path / "run", pretrained)
    )
    assert_same(ours.get_weights(), theirs.get_weights())


def test_weights_of_another_family_are_refused(config, tmp_path):
    folder = pathlib.Path(pretrained_weights.locate("packaged:ram_digits"))
    with pytest.raises(InputError, match="are of family ram"):
        attend(config, tmp_path / "run", folder)


def test_what_a_phase_fixes_cannot_be_set(config):
    varied = experiment.vary(config, {})
    with varied.unlocked():
        varied.phases.pretrain.num_glimpses = 2
    phase = families.find_family("fine_grained").phase("pretrain")
    with pytest.raises(InputError, match="it is 1 in this phase"):
        experiment.phase_config(varied, phase)


def test_pre_training_looks_once_whatever_the_glimpses_asked_for(config):
    varied = experiment.vary(config, {"train.num_glimpses": 5, "train.mc_samples": 3})
    phase = families.find_family("fine_grained").phase("pretrain")
    train = experiment.phase_config(varied, phase).train
    assert (train.num_glimpses, train.mc_samples) == (1, 1)
