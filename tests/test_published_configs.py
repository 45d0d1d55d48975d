"""Configs that claim published settings, against those settings, phase by phase."""

import pytest

from ram_tf import experiment, pretrained
from ram_tf.families import find_family
from tests.conftest import ROOT
from tests.contracts import small_fine_grained
from tests.test_configs import config_named, load

# Learning rate, batch, epochs, and the weights of a phase's terms.
PHAM_PHASES = {
    "first": (1e-3, 64, 1000, {"classification": 1.0}),
    "second": (1e-3, 64, 100, {"kl": 1.0, "reconstruction": 1.0}),
    "third": (
        1e-3,
        64,
        100,
        {"classification": 16.0, "kl": 1.0, "reconstruction": 1.0},
    ),
}
PLATEAU = {
    "kind": "plateau",
    "monitor": "loss",
    "factor": 0.5,
    "patience": 25,
    "min_delta": 0.01,
    "minimum": 0.0,
}
ALL = ("crop", "flip", "color")
# Glimpse, n_f, n_z, n_h, flows, and what changes training images.
PHAM_SETS = {
    "svhn": (8, 128, 256, 512, 4, ()),
    "cifar10": (8, 128, 256, 512, 4, ALL),
    "cinic10": (8, 128, 256, 512, 4, ALL),
    "cifar100": (8, 512, 1024, 2048, 6, ALL),
    "tinyimagenet": (16, 512, 1024, 2048, 6, ALL),
}


def effective(config, phase):
    family = find_family(config.family)
    return experiment.phase_config(config, family.phase(phase))


@pytest.mark.parametrize("phase", PHAM_PHASES)
@pytest.mark.parametrize("dataset", PHAM_SETS)
def test_pham_is_as_published(dataset, phase, monkeypatch):
    config = effective(config_named(f"pham_{dataset}", monkeypatch), phase)
    learning_rate, batch_size, epochs, weights = PHAM_PHASES[phase]
    train, model = config.train, config.model
    assert train.learning_rate == learning_rate
    assert train.batch_size == batch_size
    assert train.epochs == epochs
    assert train.steps_per_epoch is None  # A pass over the images.
    assert train.schedule.to_dict() == PLATEAU
    assert train.clip_norm == 10.0
    assert train.num_glimpses == 7
    assert train.mc_samples == 1
    assert train.early_stopping_patience is None
    assert config.phases[phase].weights.to_dict() == weights
    sizes = (
        model.glimpse_size,
        model.feature_units,
        model.latent_units,
        model.hidden_units,
        model.num_flows,
        config.data.augment,
    )
    assert sizes == PHAM_SETS[dataset]
    assert config.data.name == dataset
    assert model.dropout == 0.5
    assert model.channel_variance is False  # One learned variance.
    assert model.imagined_steps is None
    assert config.policy.num_samples == 20
    assert config.policy.feature_noise is False


# Scales of a glimpse, and the first one's side in quarters of the image.
@pytest.mark.parametrize(
    ("name", "scales"), [("dogs_k1", (1, 2)), ("dogs_k2", (2, 2)), ("dogs_k3", (3, 1))]
)
@pytest.mark.parametrize(
    ("phase", "num_glimpses", "weights"),
    [
        (
            "pretrain",
            1,
            ("high_medium", "high_low", "medium_low", "high_medium_low"),
        ),
        ("attend", 3, ("classification", "baseline", "reinforce")),
    ],
)
def test_fine_grained_attention_is_as_published(
    name, scales, phase, num_glimpses, weights, monkeypatch
):
    config = effective(config_named(name, monkeypatch), phase)
    train, model = config.train, config.model
    assert train.learning_rate == 1e-4
    assert train.batch_size == 128
    assert train.steps_per_epoch is None
    assert train.schedule.to_dict() == {"kind": "constant"}
    assert train.num_glimpses == num_glimpses
    assert config.phases[phase].weights.to_dict() == dict.fromkeys(weights, 1.0)
    start = {"pretrain": "imagenet", "attend": None}[phase]
    assert train.pretrain_checkpoint == start
    assert config.data.name == "stanford_dogs"
    assert (model.num_scales, model.start_size) == scales
    assert model.size == 96
    assert small_fine_grained().regions == 2
    assert model.backbone.kind == "resnet50"
    assert model.backbone.stride_one is True
    assert model.core.to_dict() == {"kind": "lstm", "units": 2048}
    assert model.emission.kind == "attention"
    assert model.mix_location is False
    assert config.policy.to_dict() == {"kind": "context", "stddev": 0.2}
    assert config.eval.mc_samples == 7


def test_the_short_recipe_keeps_its_own_first_phase(monkeypatch):
    """That of the packaged weights, which were trained by it."""
    config = config_named("pham_cifar10_short", monkeypatch)
    train = effective(config, "first").train
    assert (train.learning_rate, train.steps_per_epoch, train.epochs) == (2e-3, 500, 10)
    packaged, *_ = experiment.read_run(pretrained.locate("packaged:pham_cifar10_short"))
    own = effective(config, "third")
    assert own.model.to_dict() == packaged.model.to_dict()
    assert own.phases.to_dict() == packaged.phases.to_dict()
    assert own.train.to_dict() == packaged.train.to_dict()


# What the tables of the paper vary: glimpses, side and number of patches, canvas.
@pytest.mark.parametrize(
    ("name", "glimpses", "side", "scales", "canvas", "pieces"),
    [
        ("ram_mnist_2", 2, 8, 1, None, None),
        ("ram_mnist_4", 4, 8, 1, None, None),
        ("ram_mnist", 6, 8, 1, None, None),
        ("active_ram_mnist", 6, 8, 1, None, None),
        ("translated_mnist_4", 4, 12, 3, (60, 60), None),
        ("translated_mnist", 6, 12, 3, (60, 60), None),
        ("cluttered_mnist_60_4", 4, 12, 3, (60, 60), 4),
        ("cluttered_mnist_60", 6, 12, 3, (60, 60), 4),
        ("cluttered_mnist_100_4", 4, 12, 4, (100, 100), 8),
        ("cluttered_mnist_100", 6, 12, 4, (100, 100), 8),
    ],
)
def test_ram_sees_as_much_as_published(
    name, glimpses, side, scales, canvas, pieces, monkeypatch
):
    config = effective(config_named(name, monkeypatch), "train")
    assert config.train.num_glimpses == glimpses
    retina = config.model.retina
    assert (retina.size, retina.num_scales, retina.scale_factor) == (side, scales, 2)
    assert config.data.canvas == canvas
    assert config.data.get("num_pieces") == pieces
    assert config.phases.train.weights.reinforce == 1.0


def test_ram_is_trained_as_its_pytorch_version(monkeypatch):
    config = effective(config_named("ram_mnist_published", monkeypatch), "train")
    train = config.train
    assert (train.batch_size, train.learning_rate) == (128, 3e-4)
    assert train.schedule.kind == "plateau"
    assert train.early_stopping_patience == 50
    assert (train.num_glimpses, train.mc_samples) == (6, 1)
    assert config.phases.train.weights.reinforce == 0.01
    assert config.policy.count_last_action is True
    assert (config.model.retina.size, config.model.retina.num_scales) == (8, 1)


def test_ram_is_trained_as_its_tensorflow_version(monkeypatch):
    config = effective(config_named("translated_mnist_published", monkeypatch), "train")
    train, retina = config.train, config.model.retina
    assert (train.batch_size, train.mc_samples, train.clip_norm) == (128, 10, 5.0)
    assert train.learning_rate == 1e-3
    assert train.schedule.to_dict() == {
        "kind": "exponential",
        "rate": 0.97,
        "every_steps": 1000,
        "minimum": 1e-4,
    }
    assert (retina.sides, retina.reduction) == ((12, 24, 48), "bilinear")
    assert retina.padding == "uniform"
    assert config.model.location.stddev == 0.03
    assert config.phases.train.weights.reinforce == 1.0


def test_active_ram_is_trained_as_published(monkeypatch):
    config = effective(config_named("active_ram_published", monkeypatch), "train")
    weights, location = config.phases.train.weights, config.model.location
    assert weights.uncertainty == pytest.approx(128 * 1e-5)
    assert weights.intrinsic_belief == pytest.approx(128 * 1e-2)
    assert (weights.reinforce, weights.early_classification) == (1.0, 0.0)
    assert config.train.schedule.to_dict() == {
        "kind": "epoch",
        "rate": 0.95,
        "minimum": 0.0,
    }
    assert config.train.batch_size == 128
    assert config.model.core.to_dict() == {"kind": "rectifier", "units": 256}
    assert (location.hidden_units, location.bound) == (None, "clip")
    assert (location.stddev, config.model.baseline.activation) == (0.1, "relu")


def test_the_paper_of_fine_grained_attention_has_a_second_recurrent_network(
    monkeypatch,
):
    config = effective(config_named("dogs_paper", monkeypatch), "attend")
    assert config.model.emission.kind == "recurrent"
    assert config.model.mix_location is True
    assert config.train.num_glimpses == 3


def test_the_published_variants_of_active_ram_have_its_core_and_its_weights(
    monkeypatch,
):
    """Its sums over a batch of 128, as means: 1e-5 and 1e-2 of the paper."""
    path = ROOT / "configs" / "variants" / "active_ram.py"
    variants = load(path, monkeypatch)
    base = config_named("active_ram_mnist", monkeypatch)
    uncertainty, belief = 128e-5, 128e-2
    expected = {
        "plain": (0, 0),
        "uncertainty": (uncertainty, 0),
        "belief": (0, belief),
        "both": (uncertainty, belief),
        "fit_only": (0, 0),
    }
    for name, weights in expected.items():
        config = experiment.vary(base, variants.VARIANTS[name])
        found = config.phases.train.weights
        assert config.model.core.to_dict() == {"kind": "rectifier", "units": 256}
        assert (found.uncertainty, found.intrinsic_belief) == pytest.approx(
            weights, rel=0.25
        )
        assert found.early_classification == 0
        assert (found.reinforce, config.model.baseline.activation) == (1, "relu")
        assert config.model.location.stddev == 0.1
