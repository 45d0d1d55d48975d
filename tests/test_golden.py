"""Numbers that the published PyTorch code computed, reproduced by our layers.

Reads every `*.npz` of the folder `RAM_TF_GOLDEN_DIR` (default `tests/golden`). A file's
kind is the start of its name. Arrays agree to 1e-4 of their largest magnitude,
gradients to 1e-3.
"""

import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from ram_tf import layers, models, objectives, random
from ram_tf.models import Choice

FOLDER = pathlib.Path(
    os.environ.get("RAM_TF_GOLDEN_DIR", pathlib.Path(__file__).parent / "golden")
)
FILES = sorted(FOLDER.glob("*.npz"))


def assert_close(actual, expected, tolerance=1e-4, what=""):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, what
    scale = max(np.abs(expected).max(initial=0.0), 1e-12)
    error = np.abs(actual - expected).max(initial=0.0) / scale
    assert error <= tolerance, f"{what}: relative error {error:.2e}"


def to_channels_last(images):
    return np.moveaxis(images, 1, -1)


class RecordedPolicy:
    """Starts where the recording started and adds the recorded noise."""

    deterministic = True

    def __init__(self, start, noise):
        self.start_location = start
        self.noise = list(noise)

    def plan(self, batch_size, num_glimpses, seed):
        return None

    def start(self, network, state, *, seed, training):
        return Choice(tf.constant(self.start_location))

    def __call__(self, network, state, *, seed, training):
        noise = self.noise.pop(0)
        return Choice(*network.location(state["hidden"], training=True, noise=noise))


def check_retina(golden):
    cases = sorted(name.split("_")[0] for name in golden if name.endswith("_gks"))
    assert cases
    for case in cases:
        size, num_scales, factor = golden[f"{case}_gks"].tolist()
        retina = layers.Retina(size, num_scales, factor)
        images = to_channels_last(golden[f"{case}_images"])
        glimpses = retina(images, golden[f"{case}_locations"])
        # Published order within an image: scale, channel, row, column.
        flat = np.moveaxis(np.asarray(glimpses), -1, 2).reshape(len(images), -1)
        assert_close(flat, golden[f"{case}_phi"], what=case)


def ram_weights(network, size, num_scales, channels):
    """Yields (published name, our variable, converter from the published layout)."""
    glimpse, core = network.glimpse_network, network.core

    def pixels_last(weight):  # (out, scale, channel, row, column) -> (in, out)
        shape = (-1, num_scales, channels, size, size)
        weight = np.moveaxis(weight.reshape(shape), 2, -1)
        return weight.reshape(len(weight), -1).T

    dense = {
        "sensor.fc2": glimpse.location_hidden,
        "sensor.fc3": glimpse.glimpse_output,
        "sensor.fc4": glimpse.location_output,
        "rnn.i2h": core.input_map,
        "rnn.h2h": core.hidden_map,
        "classifier.fc": network.classifier,
        "baseliner.fc": network.baseline.value,
    }
    if network.location.hidden is None:
        dense["locator.fc"] = network.location.mean
    else:
        dense["locator.fc"] = network.location.hidden
        dense["locator.fc_lt"] = network.location.mean
    yield "sensor.fc1.weight", glimpse.glimpse_hidden.kernel, pixels_last
    yield "sensor.fc1.bias", glimpse.glimpse_hidden.bias, np.asarray
    for name, layer in dense.items():
        yield f"{name}.weight", layer.kernel, np.transpose
        yield f"{name}.bias", layer.bias, np.asarray


def check_ram_model(golden):
    size, num_scales, factor = golden["gks"].tolist()
    images = to_channels_last(golden["images"])
    steps, _, units = golden["hidden"].shape
    two_layers = "weight/locator.fc_lt.weight" in golden
    network = models.RAM(
        golden["weight/classifier.fc.weight"].shape[0],
        retina=layers.Retina(size, num_scales, factor),
        glimpse_network=layers.MlpGlimpse(
            golden["weight/sensor.fc1.weight"].shape[0],
            golden["weight/sensor.fc2.weight"].shape[0],
            golden["weight/sensor.fc3.weight"].shape[0],
        ),
        core=layers.RectifierCell(units),
        location=layers.GaussianLocation(
            float(golden["std"]),
            golden["weight/locator.fc.weight"].shape[0] if two_layers else None,
        ),
    )
    network.build(images.shape)
    weights = list(ram_weights(network, size, num_scales, images.shape[-1]))
    assert {name for name, *_ in weights} == {
        name.removeprefix("weight/") for name in golden if name.startswith("weight/")
    }
    for name, variable, convert in weights:
        variable.assign(convert(golden[f"weight/{name}"]))
    policy = RecordedPolicy(golden["initial_location"], golden["noise"])
    variables = [variable.value for _, variable, _ in weights]
    with tf.GradientTape() as tape:
        result = models.rollout(
            network,
            policy,
            network.prepare(images),
            steps,
            seed=random.make_seed(0),
            training=True,
            decide_last=True,
        )
        terms = {
            name: tf.reduce_mean(term)
            for name, term in objectives.ram_objective(result, golden["labels"]).items()
        }
        loss = (
            terms["classification"]
            + terms["baseline"]
            + float(golden["reinforce_weight"]) * terms["reinforce"]
        )
    by_time = {"hidden": result.hidden, "location": np.clip(result.actions, -1, 1)}
    means = [network.location(h)[0] for h in np.swapaxes(result.hidden, 0, 1)]
    for name, actual in by_time.items():
        assert_close(np.swapaxes(actual, 0, 1), golden[name], what=name)
    assert_close(means, golden["location_mean"], what="location_mean")
    assert_close(result.extras["baselines"], golden["baseline"], what="baseline")
    assert_close(result.log_probs, golden["log_pi"], what="log_pi")
    log_probs = tf.nn.log_softmax(result.logits[:, -1])
    assert_close(log_probs, golden["log_probs"], what="log_probs")
    assert_close(terms["classification"], golden["loss_action"], what="loss_action")
    assert_close(terms["baseline"], golden["loss_baseline"], what="loss_baseline")
    assert_close(terms["reinforce"], golden["loss_reinforce"], what="loss_reinforce")
    assert_close(loss, golden["loss"], what="loss")
    gradients = tape.gradient(loss, variables)
    for (name, _, convert), gradient in zip(weights, gradients):
        assert_close(gradient, convert(golden[f"grad/{name}"]), 1e-3, f"grad/{name}")


CHECKS = {"ram_retina": check_retina, "ram_model": check_ram_model}


def test_there_are_golden_files():
    assert FILES, f"no *.npz in {FOLDER}: set RAM_TF_GOLDEN_DIR to a folder of them"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden(path):
    checks = [check for kind, check in CHECKS.items() if path.stem.startswith(kind)]
    if not checks:
        pytest.skip(f"no family computes {path.stem} yet")
    with np.load(path) as file:
        checks[0](dict(file))
