"""Numbers that the published PyTorch code computed, reproduced by our layers.

Reads every `*.npz` of the folder `RAM_TF_GOLDEN_DIR` (default `tests/golden`). A file's
kind is the start of its name. Arrays agree to 1e-4 of their largest magnitude. Each
gradient agrees as a whole: a ReLU at its kink changes one channel of one, on another
processor or in another framework, and nothing else.
"""

import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from ram_tf import layers, models, objectives, policies, random
from ram_tf.interchange import published_ram
from ram_tf.models import Choice
from tests.comparisons import relative_error
from tests.test_posterior import partial_vae_weights, published_flow

FOLDER = pathlib.Path(
    os.environ.get("RAM_TF_GOLDEN_DIR", pathlib.Path(__file__).parent / "golden")
)
FILES = sorted(FOLDER.glob("*.npz"))


def assert_close(actual, expected, what):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, what
    scale = max(np.abs(expected).max(initial=0.0), 1e-12)
    error = np.abs(actual - expected).max(initial=0.0) / scale
    assert error <= 1e-4, f"{what}: {error:.2e} of the largest magnitude"


def assert_same_gradients(gradients, weights, recorded, prefix):
    """Compares each parameter's by itself, so that a small one counts as a large one.

    `weights` are rows of (published name, variable, converter).
    """
    for (name, _, convert), gradient in zip(weights, gradients, strict=True):
        name = f"{prefix}/{name}"
        error = relative_error(gradient, convert(recorded[name]))
        assert error <= 1e-3, f"{name}: relative error {error:.2e}"


def to_channels_last(images):
    return np.moveaxis(images, 1, -1)


class RecordedPolicy(policies.Policy):
    """Starts where the recording started and adds the recorded noise."""

    deterministic = True
    count_last_action = True

    def __init__(self, start, noise):
        self.start_location = start
        self.noise = list(noise)

    def start(self, network, context, state, *, seed, training):
        return Choice(tf.constant(self.start_location))

    def __call__(self, network, context, state, *, seed, training):
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


def load_ram(golden, make, retina, bound="tanh", **parts):
    """Builds the model of a recording; returns it, its images and its weights."""
    images = to_channels_last(golden["images"])
    two_layers = "weight/locator.fc_lt.weight" in golden
    network = make(
        golden["weight/classifier.fc.weight"].shape[0],
        retina=layers.Retina(*retina),
        glimpse_network=layers.MlpGlimpse(
            golden["weight/sensor.fc1.weight"].shape[0],
            golden["weight/sensor.fc2.weight"].shape[0],
            golden["weight/sensor.fc3.weight"].shape[0],
        ),
        core=layers.RectifierCell(golden["hidden"].shape[-1]),
        location=layers.GaussianLocation(
            float(golden["std"]),
            golden["weight/locator.fc.weight"].shape[0] if two_layers else None,
            bound=bound,
        ),
        **parts,
    )
    network.build(images.shape)
    published = {
        name.removeprefix("weight/"): array
        for name, array in golden.items()
        if name.startswith("weight/")
    }
    published_ram.load_published(network, published)
    return network, images, list(published_ram.published_weights(network))


def check_ram_losses(golden, loaded, objective, term_weights, terms_of):
    """Checks log-densities, each loss and the gradients; returns the rollout.

    `terms_of` names our terms by the recording's losses, which contain their weights.
    """
    network, images, weights = loaded
    policy = RecordedPolicy(golden["initial_location"], golden["noise"])
    with tf.GradientTape() as tape:
        result = models.rollout(
            network,
            policy,
            network.prepare(images),
            len(golden["noise"]),
            seed=random.make_seed(0),
            training=True,
        )
        terms = objective(result, golden["labels"])
        terms = {
            name: weight * tf.reduce_mean(terms[name])
            for name, weight in term_weights.items()
        }
        loss = sum(terms.values())
    assert_close(result.extras["baselines"], golden["baseline"], what="baseline")
    assert_close(result.log_probs, golden["log_pi"], what="log_pi")
    for name, term in terms_of.items():
        assert_close(terms[term], golden[name], what=name)
    assert_close(loss, golden["loss"], what="loss")
    gradients = tape.gradient(loss, [variable.value for _, variable, _ in weights])
    assert_same_gradients(gradients, weights, golden, "grad")
    return result


def check_ram_model(golden):
    loaded = load_ram(golden, models.RAM, golden["gks"].tolist())
    # Here alone the recording's loss is without its weight.
    weight = float(golden["reinforce_weight"])
    golden["loss_reinforce"] = weight * golden["loss_reinforce"]
    result = check_ram_losses(
        golden,
        loaded,
        objectives.ram_objective,
        {"classification": 1.0, "baseline": 1.0, "reinforce": weight},
        {
            "loss_action": "classification",
            "loss_baseline": "baseline",
            "loss_reinforce": "reinforce",
        },
    )
    by_time = {"hidden": result.hidden, "location": np.clip(result.actions, -1, 1)}
    means = [loaded[0].location(h)[0] for h in np.swapaxes(result.hidden, 0, 1)]
    for name, actual in by_time.items():
        assert_close(np.swapaxes(actual, 0, 1), golden[name], what=name)
    assert_close(means, golden["location_mean"], what="location_mean")
    log_probs = tf.nn.log_softmax(result.logits[:, -1])
    assert_close(log_probs, golden["log_probs"], what="log_probs")


def check_active_sampling(golden):
    loaded = load_ram(
        golden,
        models.ActiveRAM,
        (8, 1, 1),
        bound="clip",
        baseline=layers.ValueBaseline("relu"),
        error_head=layers.ErrorHead(shared=True),
    )
    batch_size = len(golden["images"])  # The recording sums these terms over it.
    result = check_ram_losses(
        golden,
        loaded,
        objectives.active_ram_objective,
        {
            "classification": 1.0,
            "baseline": 1.0,
            "reinforce": 1.0,
            "error_fit": 1.0,
            "uncertainty": batch_size * float(golden["lambda_uncertainty"]),
            "intrinsic_belief": batch_size * float(golden["lambda_intrinsic"]),
        },
        {
            "loss_action": "classification",
            "loss_baseline": "baseline",
            "loss_reinforce": "reinforce",
            "loss_uncertainty_fit": "error_fit",
            "loss_uncertainty": "uncertainty",
            "loss_intrinsic": "intrinsic_belief",
        },
    )
    extras = result.extras
    assert_close(result.hidden, golden["hidden"], what="hidden")
    assert_close(np.clip(result.actions, -1, 1), golden["location"], what="location")
    assert_close(extras["uncertainty"], golden["uncertainty"], what="uncertainty")
    fitted = golden["uncertainty_fit"]
    assert_close(extras["uncertainty_fitted"], fitted, what="uncertainty_fit")
    log_probs = tf.nn.log_softmax(result.logits)
    assert_close(log_probs, golden["log_probs"], what="log_probs")


class FixedPlan(policies.Policy):
    """Looks at given places."""

    deterministic = True

    def __init__(self, places):
        self.places = places

    def plan(self, network, context, state, num_glimpses, seed):
        return tf.constant(self.places)


class RecordedGain(policies.InformationGain):
    """Starts where the recording started and imagines from the recorded noise."""

    unroll = True  # Its noise is taken one by one.

    def __init__(self, start, noise):
        super().__init__(num_samples=noise.shape[2])
        object.__setattr__(self, "start_location", start)
        object.__setattr__(self, "noise", list(noise))

    def start(self, network, context, state, *, seed, training):
        return Choice(tf.constant(self.start_location))

    def draw_noise(self, shape, seed):
        noise = self.noise.pop(0)
        assert noise.shape == shape
        return tf.constant(noise)


def convolution(weight):
    return np.transpose(weight, (2, 3, 1, 0))


def pointwise(weight):
    return weight[:, :, 0, 0].T


def pham_weights(network):
    """Yields (published name, our variable, converter), but for the autoencoder's."""
    encoder, mixer, core = network.patch_encoder, network.location_mixer, network.core
    convolutions = [*encoder.convolutions, encoder.output_map]
    for index, layer in enumerate(convolutions):
        yield f"glimpse.fcg.{3 * index + 1}.weight", layer.kernel, convolution
        yield f"glimpse.fcg.{3 * index + 1}.bias", layer.bias, np.asarray
    norms = {f"fcg.{3 * i + 3}": norm for i, norm in enumerate(encoder.norms)}
    for name, norm in (norms | {"final.bn1": mixer.norm}).items():
        yield f"glimpse.{name}.weight", norm.gamma, np.asarray
        yield f"glimpse.{name}.bias", norm.beta, np.asarray
        yield f"glimpse.{name}.running_mean", norm.moving_mean, np.asarray
        yield f"glimpse.{name}.running_var", norm.moving_variance, np.asarray
    for name, layer in {
        "glimpse.fcl.fc1": mixer.place_map,
        "rnn.fch": core.hidden_map,
        "rnn.fcg": core.input_map,
        "classifier.cn": network.classifier,
    }.items():
        yield f"{name}.weight", layer.kernel, pointwise
        yield f"{name}.bias", layer.bias, np.asarray
    yield "rnn.final.bn1.weight", core.norm.gamma, np.ravel
    yield "rnn.final.bn1.bias", core.norm.beta, np.ravel


def load_pham(golden):
    """Builds the model of a recording; returns it, its images and its weights."""
    images = (to_channels_last(golden["images"]) + 1) / 2
    features, *_ = golden["weight/glimpse.final.bn1.weight"].shape
    network = models.PHAM(
        golden["weight/classifier.cn.weight"].shape[0],
        glimpse_size=int(golden["gz"]),
        feature_units=features,
        latent_units=golden["noise"].shape[-1],
        hidden_units=golden["weight/rnn.fch.weight"].shape[0],
        num_flows=int(golden["num_flows"]),
    )
    with published_flow():
        network.build(images.shape)
    assert network.grid == (int(golden["grid"]),) * 2
    vae = network.partial_vae
    weights = [
        *pham_weights(network),
        ("wc", vae.log_variance, np.squeeze),
        *partial_vae_weights(vae.posterior, vae.decoder),
    ]
    ignored = ("num_batches_tracked", "data_dep_init_done")
    assert {name for name, *_ in weights} == {
        name.removeprefix("weight/")
        for name in golden
        if name.startswith("weight/") and not name.endswith(ignored)
    }
    for name, variable, convert in weights:
        variable.assign(convert(golden[f"weight/{name}"]))
    return network, images, weights


def places_of(network, starts):
    """(x, y) of patches that begin at pixels (row, column)."""
    places = 2 * (starts + 0.5) / network.room - 1
    return places[..., ::-1].astype("float32")


def check_phase(golden, prefix, network, images, weights, policy, objective, terms):
    """Checks loss, accuracy and gradients of one phase; returns the rollout."""
    noise = np.swapaxes(golden["noise"], 0, 1)[:, :, None]
    reading = {} if prefix == "one" else {"imagine": True, "noise": tf.constant(noise)}
    with tf.GradientTape() as tape:
        result = models.rollout(
            network,
            policy,
            network.prepare(images),
            int(golden["T"]),
            seed=random.make_seed(0),
            reading=reading,
        )
        values = objective(result, golden["labels"])
        loss = sum(terms[name] * tf.reduce_mean(values[name]) for name in terms)
    assert_close(loss, golden[f"{prefix}_loss"], what=f"{prefix}_loss")
    correct = np.argmax(result.logits, axis=-1) == golden["labels"][:, None]
    assert_close(correct.mean(axis=0), golden[f"{prefix}_accuracy"], what="accuracy")
    wanted = [row for row in weights if f"{prefix}_grad/{row[0]}" in golden]
    names = {f"{prefix}_grad/{name}" for name, *_ in wanted}
    assert names == {name for name in golden if name.startswith(f"{prefix}_grad/")}
    gradients = tape.gradient(loss, [variable.value for _, variable, _ in wanted])
    assert_same_gradients(gradients, wanted, golden, f"{prefix}_grad")
    return result


def check_gain(golden, prefix, network, result):
    """Checks the maps of expected gain and the cells that they led to."""
    gain = np.asarray(result.extras["gain"])
    gain = np.where(np.isneginf(gain), -100.0, gain)  # As published.
    expected = golden[f"{prefix}_eig"]
    expected = np.swapaxes(expected, 0, 1).reshape(gain.shape)
    assert (gain == -100).tolist() == (expected == -100).tolist()
    unseen = expected != -100
    assert_close(gain[unseen], expected[unseen], what=f"{prefix}_eig")
    chosen = np.asarray(result.extras["cell"])[:, 1:]
    chosen = np.stack(np.divmod(chosen, network.grid[1]), axis=-1)
    assert np.swapaxes(chosen, 0, 1).tolist() == golden[f"{prefix}_locations"].tolist()


def check_pham(golden):
    network, images, weights = load_pham(golden)
    loaded = (golden, network, images, weights)

    def check(prefix, policy, objective, terms):
        return check_phase(
            golden, prefix, *loaded[1:], policy=policy, objective=objective, terms=terms
        )

    places = np.swapaxes(places_of(network, golden["one_locations"]), 0, 1)
    classification = {"classification": 1.0}
    check("one", FixedPlan(places), objectives.classification_objective, classification)

    starts = golden["two_locations"] * network.stride
    places = np.swapaxes(places_of(network, starts), 0, 1)
    evidence = {"kl": 1.0, "reconstruction": 1.0}
    result = check("two", FixedPlan(places), objectives.evidence_objective, evidence)
    extras = {k: np.swapaxes(v, 0, 1) for k, v in result.extras.items()}
    hidden = golden["vae_hidden"][..., 0, 0]
    assert_close(np.swapaxes(result.hidden, 0, 1), hidden, what="vae_hidden")
    features = golden["vae_features"]
    features = np.moveaxis(features.reshape(*features.shape[:3], -1), 2, -1)
    assert_close(extras["imagined"], features, what="vae_features")
    log_q = golden["vae_log_q0"] + golden["vae_neg_log_det"]
    assert_close(extras["log_q"], log_q, what="log_q")
    log_prior = -golden["vae_neg_log_prior"].sum(axis=-1)
    assert_close(extras["log_prior"], log_prior, what="log_prior")

    policy = RecordedGain(places[:, 0], golden["noise"][:-1, :, None])
    weights_of_terms = {"classification": float(golden["ccebal"]), **evidence}
    joint = objectives.joint_objective
    result = check("three", policy, joint, weights_of_terms)
    check_gain(golden, "three", network, result)

    noise = golden["eval_noise"]
    shape = (len(noise), int(golden["num_samples"]), len(images), noise.shape[-1])
    noise = np.swapaxes(noise.reshape(shape), 1, 2)  # Rows are sample-major.
    result = models.rollout(
        network,
        RecordedGain(places[:, 0], noise),
        network.prepare(images),
        int(golden["T"]),
        seed=random.make_seed(0),
    )
    check_gain(golden, "eval", network, result)
    logits = np.swapaxes(result.logits, 0, 1)
    assert_close(logits, golden["eval_logits"], what="eval_logits")
    correct = np.argmax(result.logits, axis=-1) == golden["labels"][:, None]
    assert_close(correct.mean(axis=0), golden["eval_accuracy"], what="eval_accuracy")


CHECKS = {
    "ram_retina": check_retina,
    "ram_model": check_ram_model,
    "active_sampling": check_active_sampling,
    "pham_": check_pham,
}


def test_there_are_golden_files():
    assert FILES, f"no *.npz in {FOLDER}: set RAM_TF_GOLDEN_DIR to a folder of them"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden(path):
    checks = [check for kind, check in CHECKS.items() if path.stem.startswith(kind)]
    assert checks, f"{path.stem} is of no kind that we know: {', '.join(CHECKS)}"
    with np.load(path) as file:
        checks[0](dict(file))
