"""Runs of every family as they are before training: for what needs weights alone."""

import importlib
import pathlib
import sys
from unittest import mock

import keras
import numpy as np

from ram_tf import experiment
from ram_tf.files import write_json
from ram_tf.layers import backbone
from ram_tf.training.checkpointing import FORMAT_VERSION, WEIGHTS, digest_file

CONFIGS = pathlib.Path(__file__).resolve().parents[1] / "configs"
NUM_CLASSES = 10


def _ram(config):
    model = config.model
    model.glimpse_network.glimpse_units = model.glimpse_network.location_units = 8
    model.glimpse_network.units = model.core.units = 16
    model.location.hidden_units = 8


def _noisy(config):
    _ram(config)
    config.model.retina.padding = "uniform"
    config.model.retina.pixel_mean, config.model.retina.pixel_stddev = 0.4, 0.5


def _active(config):
    _ram(config)
    config.family = "active_ram"
    config.model.error_head = {"shared": False}
    terms = ("error_fit", "uncertainty", "intrinsic_belief", "early_classification")
    config.phases.train.weights.update(dict.fromkeys(terms, 1.0))


def _two_layers(config):
    model = config.model
    model.glimpse_network.glimpse_units = model.glimpse_network.location_units = 8
    model.glimpse_network.units = 16
    model.lower.units, model.upper.units = 12, 10


def _dram(config):
    _two_layers(config)
    config.model.context.filters = (3, 4)
    config.model.overview_size = 8


def _pham(config):
    sizes = {"feature_units": 4, "latent_units": 3, "hidden_units": 6, "num_flows": 0}
    config.model.update(sizes)
    config.policy.num_samples = 2


def _fine_grained(config):
    config.model.backbone.kind = "tiny"
    config.model.size = 16
    config.model.core.units = 6
    config.model.emission.units = 4


# Kind of run -> its config's file, what makes it small, the shape of its images.
KINDS = {
    "active_ram": ("ram_digits", _active, (20, 24, 1)),
    "dram": ("dram_digits", _dram, (20, 24, 1)),
    "fine_grained": ("photos_small", _fine_grained, (40, 40, 3)),
    "mram": ("mram_mnist", _two_layers, (20, 24, 1)),
    "noisy": ("ram_digits", _noisy, (20, 24, 1)),
    "open_set": ("omniglot", _ram, (20, 24, 1)),
    "pham": ("pham_digits", _pham, (6, 8, 1)),
    "ram": ("ram_digits", _ram, (20, 24, 3)),
    "zoom": ("zoom_digits", _dram, (20, 24, 1)),
}


def write_run(folder, kind, dtype="float32"):
    """Writes the folder of a run of the last phase of a family, with two glimpses.

    Args:
        folder: Path.
        kind: A key of `KINDS`.
        dtype: What it says that it was trained in.
    """
    name, shrink, image_shape = KINDS[kind]
    with mock.patch.object(sys, "path", [*sys.path, str(CONFIGS)]):
        config = importlib.import_module(name).get_config()
    shrink(config)
    config.train.num_glimpses = 2
    config.runtime.mixed_precision = dtype
    config = experiment.phase_config(config, experiment.last_phase(config))
    keras.utils.set_random_seed(0)
    network = experiment.build_network(config, image_shape, NUM_CLASSES)
    draw = np.random.default_rng(0)
    for variable in network.trainable_variables:  # Far from saying the same of all.
        variable.assign_add(0.3 * draw.standard_normal(variable.shape, "float32"))
    best = folder / "checkpoints" / "best"
    best.mkdir(parents=True)
    network.save_weights(best / WEIGHTS)
    write_json(
        best / "state.json",
        {
            "format_version": FORMAT_VERSION,
            "step": 0,
            "digests": {WEIGHTS: digest_file(best / WEIGHTS)},
        },
    )
    write_json(folder / "config.json", config.to_dict())
    class_names = [f"class {index}" for index in range(NUM_CLASSES)]
    classes = {"class_names": class_names, "image_shape": image_shape}
    write_json(folder / "dataset.json", classes)
    return folder


def tiny_backbone():
    """Makes the kind of backbone "tiny" known: use it as a context."""
    return mock.patch.dict(backbone.BACKBONES, {"tiny": (_make_tiny, None)})


def _make_tiny(include_top, weights, input_shape):
    del include_top, weights
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Conv2D(5, 3, 4, "same", activation="relu", name="conv"),
            keras.layers.BatchNormalization(name="norm"),
        ]
    )
