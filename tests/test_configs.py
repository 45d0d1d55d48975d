"""Every config file builds its model, and says how it is run."""

import importlib.util
import sys

import keras_tuner
import numpy as np
import pytest

from ram_tf import experiment
from ram_tf.errors import InputError
from ram_tf.families import FAMILIES
from ram_tf.models import LittlePromise, Rollout
from ram_tf.objectives import Credit
from ram_tf.training.optimizers import make_optimizer
from tests.comparisons import assert_close
from tests.conftest import ROOT

# All but the blocks that they are built of.
FILES = sorted(set((ROOT / "configs").glob("*.py")) - {ROOT / "configs/common.py"})
SPACES = sorted((ROOT / "configs" / "spaces").glob("*.py"))
VARIANTS = sorted((ROOT / "configs" / "variants").glob("*.py"))
# The largest models; smaller ones of their kinds are built every time.
LARGE = (
    "dogs_k1",
    "dogs_k2",
    "dogs_k3",
    "dogs_paper",
    "pham_cifar100",
    "pham_tinyimagenet",
)
SECTIONS = {"family", "data", "model", "policy", "phases", "train", "eval", "runtime"}


def load(path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(path.parent)])
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def config_named(name, monkeypatch):
    (path,) = [path for path in FILES if path.stem == name]
    return load(path, monkeypatch).get_config()


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            path,
            id=path.stem,
            marks=[pytest.mark.slow] if path.stem in LARGE else [],
        )
        for path in FILES
    ],
)
def test_config_builds(path, monkeypatch):
    module = load(path, monkeypatch)
    assert "Command: python train.py" in module.__doc__
    config = module.get_config()
    assert set(config) == SECTIONS
    width = 48 if config.family == "fine_grained" else 56
    network = experiment.build_network(config, (48, width, 3), 5)
    assert network.built
    family = FAMILIES[config.family]
    known = set(experiment.build_policies(config))
    assert {"learned", "random", family.default_policy, *config.eval.policies} <= known
    for phase in family.phases:
        config_of_phase = experiment.phase_config(config, phase)
        known = set(experiment.build_policies(config_of_phase))
        assert {"learned", phase.monitored_policy, *config.eval.policies} <= known
        train = config_of_phase.train
        trainer = experiment.build_trainer(config_of_phase, phase, network)
        assert trainer.num_glimpses == train.num_glimpses
        optimizer, _ = make_optimizer(
            train.learning_rate,
            train.schedule.to_dict(),
            total_steps=10,
            steps_per_epoch=5,
        )
        assert float(optimizer.learning_rate) == pytest.approx(train.learning_rate)


@pytest.mark.parametrize("path", VARIANTS, ids=lambda path: path.stem)
def test_variants_build(path, monkeypatch):
    variants = load(path, monkeypatch)
    assert variants.__doc__ and len(variants.VARIANTS) > 1
    base = load(ROOT / variants.BASE, monkeypatch).get_config()
    for name, overrides in variants.VARIANTS.items():
        config = experiment.vary(base, overrides)
        experiment.check(config)
        network = experiment.build_network(config, (28, 28, 1), 5)
        (phase,) = FAMILIES[config.family].phases
        trainer = experiment.build_trainer(config, phase, network)
        assert trainer.num_glimpses == config.train.num_glimpses, name


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_spaces_fit_their_configs(path, monkeypatch):
    space = load(path, monkeypatch)
    assert space.__doc__ and space.SPACE
    base = load(ROOT / space.BASE, monkeypatch).get_config()
    parameters = keras_tuner.HyperParameters()
    overrides = {key: choose(parameters, key) for key, choose in space.SPACE.items()}
    assert parameters.space
    config = experiment.vary(base, overrides)
    assert experiment.build_network(config, (16, 16, 1), 5).built


def _trained_phase(config, name):
    phase = FAMILIES[config.family].phase(name)
    own = experiment.phase_config(config, phase)
    network = experiment.build_network(config, (48, 48, 3), 3)
    return experiment.build_trainer(own, phase, network).phase


@pytest.mark.parametrize(
    ("chosen", "reward"),
    [("right", [1.0, 0.0]), ("belief", [0.8, 0.3]), (None, [1, 0])],
)
def test_the_config_chooses_what_decisions_are_rewarded_with(
    chosen, reward, monkeypatch
):
    config = load(ROOT / "configs" / "ram_digits.py", monkeypatch).get_config()
    with config.unlocked():
        del config.phases.train.returns
        if chosen is not None:
            config.phases.train.returns = chosen
    rollout = Rollout(
        locations=None,
        hidden=None,
        logits=np.log(np.float32([[[0.1, 0.8, 0.1]], [[0.3, 0.6, 0.1]]])),
        actions=None,
        log_probs=np.ones((2, 1), "float32"),
        extras={"baselines": np.zeros((2, 1), "float32")},
    )
    terms = _trained_phase(config, "train").objective(rollout, np.array([1, 0]))
    assert_close(-terms["reinforce"], reward)


def test_an_unknown_return_is_refused_with_the_known_ones(monkeypatch):
    config = load(ROOT / "configs" / "ram_digits.py", monkeypatch).get_config()
    config.phases.train.returns = "money"
    with pytest.raises(InputError, match="'money', expected one of right, belief"):
        _trained_phase(config, "train")


PHASE = "phases.train."
CREDIT = f"{PHASE}credit."


def _varied(monkeypatch, overrides):
    """The phase of RAM as published, but for some keys."""
    config = config_named("ram_mnist", monkeypatch)
    return _trained_phase(experiment.vary(config, overrides), "train")


@pytest.mark.parametrize(
    ("overrides", "early", "reading"),
    [
        ({}, None, {"classify_last": 1}),
        ({f"{PHASE}returns": "belief"}, None, {"classify_last": 1}),
        ({f"{PHASE}returns": "log_gain"}, 0.0, {}),
        ({f"{PHASE}weights.early_classification": 0.5}, 0.5, {}),
        ({f"{CREDIT}gamma": 0.5}, None, {"classify_last": 1}),
    ],
)
def test_only_what_needs_it_reads_every_glimpse(overrides, early, reading, monkeypatch):
    phase = _varied(monkeypatch, overrides)
    assert phase.reading == reading
    assert phase.weights.get("early_classification") == early


def test_only_training_compares_the_copies_of_an_image(monkeypatch):
    overrides = {f"{CREDIT}leave_one_out": True, "train.mc_samples": 4}
    phase = _varied(monkeypatch, {**overrides, f"{CREDIT}gamma": 0.5})
    assert phase.objective.keywords["credit"] == Credit(0.5, copies=4)
    assert phase.validation_objective.keywords["credit"] == Credit(0.5)


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({f"{CREDIT}gamma": 1.5}, "credit.gamma must lie in"),
        ({f"{CREDIT}gae_lambda": -1.0}, "credit.gae_lambda must lie in"),
        ({f"{CREDIT}leave_one_out": True}, "train.mc_samples must be 2 or more, got 1"),
        (
            {
                f"{CREDIT}leave_one_out": True,
                f"{CREDIT}gae_lambda": 0.5,
                "train.mc_samples": 2,
            },
            "leave_one_out takes whole returns",
        ),
        (
            {f"{PHASE}returns": "gain", "policy.count_last_action": True},
            "returns=gain rewards each decision with the glimpse that follows",
        ),
    ],
)
def test_what_cannot_be_credited_is_refused_by_name(overrides, line, monkeypatch):
    with pytest.raises(InputError, match=line):
        _varied(monkeypatch, overrides)


@pytest.mark.parametrize(
    ("returns", "rule"),
    [
        ("right", None),
        ("belief", None),
        ("minus_loss", None),
        ("gain", LittlePromise),
        ("log_gain", LittlePromise),
    ],
)
def test_a_baseline_that_expects_gains_says_when_to_stop(returns, rule, monkeypatch):
    config = config_named("ram_digits", monkeypatch)
    config.phases.train.returns = returns
    network = experiment.build_network(config, (16, 16, 1), 3)
    assert network.stop_rule is rule


def test_a_phase_without_decisions_has_no_return_to_choose(monkeypatch):
    config = load(ROOT / "configs" / "pham_digits.py", monkeypatch).get_config()
    with config.unlocked():
        config.phases.first.returns = "belief"
    with pytest.raises(InputError, match="phases.first.returns stands for no key"):
        _trained_phase(config, "first")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("ram_digits", "num_samples"),
        ("photos_small", "first_fraction"),
        ("pham_digits", "kind"),
    ],
)
def test_an_option_that_no_policy_of_the_family_takes_is_refused(
    name, key, monkeypatch
):
    config = config_named(name, monkeypatch)
    with config.unlocked():
        config.policy[key] = 2
    expected = f"policy.{key} does not apply to the family {config.family}: its"
    with pytest.raises(InputError, match=expected):
        experiment.build_policies(config)
    for phase in FAMILIES[config.family].phases:
        with pytest.raises(InputError, match=expected):
            experiment.build_trainer(config, phase, network=None)


def test_every_policy_is_told_what_it_takes(monkeypatch):
    config = config_named("ram_digits", monkeypatch)
    config.policy.first_location = place = (0.5, -0.25)
    config.policy.first_fraction = 0.25
    known = experiment.build_policies(config)
    for name in ("learned", "mean", "random"):
        assert known[name].first_location == place
    assert known["random"].first_fraction == known["learned"].first_fraction == 0.25
    config = config_named("pham_digits", monkeypatch)
    config.policy.first_location = place
    config.policy.feature_noise = True
    config.policy.num_samples = 3
    known = experiment.build_policies(config)
    assert (known["learned"].num_samples, known["one_sample"].num_samples) == (3, 1)
    for name in ("learned", "one_sample"):
        assert known[name].feature_noise and known[name].first_location == place
    assert known["oracle"].first_location == place
    assert known["random"].blind and known["center"].deterministic
