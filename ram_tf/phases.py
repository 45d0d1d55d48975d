"""Phases of training, as data."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from ram_tf import objectives, policies


@dataclasses.dataclass(frozen=True)
class Phase:
    """One stage of training: where to look, what to minimise, what stays fixed.

    Attributes:
        name: The phase's name, and its folder's in a family of several.
        policy: Factory of the policy, called with the config's policy section.
        objective: `(rollout, labels) -> {name: per-example term}`.
        weights: One weight per term.
        returns: What decisions are rewarded with, by name; the config chooses, and
            without its word the first one counts. The objective takes it as `returns`.
        frozen: Attributes of the network that do not train.
        decided: Attributes of the network that learn from decisions alone, and from
            how many: with fewer, as with one glimpse or with a control as the policy,
            they have no gradient. Without one, any other part is a mistake.
        fixed: Keys of the config's `train` that have one value in this phase.
        starts_from: Name of the phase whose weights this one starts from, or `None`.
        reading: Options of the network's `read`: what the objective needs of it.
        evaluated: Factory of the policy to evaluate with, or `None`, the same.
        policies: Further policies to evaluate with, name -> factory called as `policy`
            is; one that returns `None` does not apply. One with the name of a control
            stands for it.
        watched: Name of the policy whose path is watched as training goes: `learned`,
            or a cheaper one of these.
        view: `network -> AttentionModel`, what of the network looks.
    """

    name: str
    policy: Callable[..., Any]
    objective: Callable[..., dict]
    weights: Mapping[str, float]
    returns: Mapping[str, Callable[..., Any]] = dataclasses.field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    decided: Mapping[str, int] = dataclasses.field(default_factory=dict)
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    starts_from: str | None = None
    reading: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    evaluated: Callable[..., Any] | None = None
    policies: Mapping[str, Callable[..., Any]] = dataclasses.field(default_factory=dict)
    watched: str = "learned"
    view: Callable[[Any], Any] = lambda network: network


def _ram_policy(kind="gaussian", **options):
    """The policy to train with: the model's own, or a control that never learns."""
    if kind == "gaussian":
        return policies.GaussianPolicy(**options)
    if kind == "random":
        return _random_after_the_first(**options)
    return _control(kind, own="gaussian")


def _control(kind, own):
    if kind not in policies.CONTROLS:
        known = ", ".join([own, *policies.CONTROLS])
        raise ValueError(f"unknown policy.kind {kind!r}: expected one of {known}")
    return policies.CONTROLS[kind]


def _mean_policy(kind="gaussian", first_location=None, **unused):
    del unused  # A deterministic first glimpse is the centre or the fixed place.
    if kind != "gaussian":
        return None  # The location head has learned nothing.
    return policies.GaussianPolicy(sample=False, first_location=first_location)


def _random_after_the_first(first_fraction=1.0, first_location=None, **unused):
    """Random places, but for a first glimpse that is drawn as the Gaussian policy's."""
    del unused
    return policies.RandomPolicy(first_fraction, first_location)


RAM_POLICIES = {"mean": _mean_policy, "random": _random_after_the_first}

RAM_RETURNS = {"right": objectives.is_right, "belief": objectives.belief}

RAM_PHASES = (
    Phase(
        name="train",
        policy=_ram_policy,
        objective=objectives.ram_objective,
        weights={"classification": 1.0, "baseline": 1.0, "reinforce": 1.0},
        returns=RAM_RETURNS,
        decided={"location": 1, "baseline": 1},
        reading={"classify_last": 1},
        policies=RAM_POLICIES,
        watched="mean",
    ),
)

OPEN_SET_PHASES = tuple(
    dataclasses.replace(
        phase,
        returns={"right_and_not_false_alarm": objectives.is_right_and_not_false_alarm},
    )
    for phase in RAM_PHASES
)

ACTIVE_RAM_PHASES = (
    Phase(
        name="train",
        policy=_ram_policy,
        objective=objectives.active_ram_objective,
        returns=RAM_RETURNS,
        weights={
            "classification": 1.0,
            "baseline": 1.0,
            "reinforce": 1.0,
            "error_fit": 1.0,
            "uncertainty": 1e-3,
            "intrinsic_belief": 1e-2,
            "early_classification": 1.0,
        },
        decided={"location": 1, "baseline": 1},
        policies=RAM_POLICIES,
        watched="mean",
    ),
)


def _plan_information_gain(feature_noise=False, **unused):
    del unused  # One sample, and always a random first cell.
    return policies.PlannedAhead(
        policies.InformationGain(num_samples=1, feature_noise=feature_noise)
    )


def _one_sample(num_samples=None, **options):
    del num_samples
    return policies.InformationGain(num_samples=1, **options)


def _oracle(first_location=None, **unused):
    del unused
    return policies.Oracle(first_location)


PHAM_POLICIES = {
    "one_sample": _one_sample,
    "oracle": _oracle,
    "random": lambda **unused: policies.RandomCells(),
    "center": lambda **unused: policies.CentralCells(),
}

PHAM_PHASES = (
    Phase(
        name="first",
        policy=lambda **unused: policies.RandomPolicy(),
        objective=objectives.classification_objective,
        weights={"classification": 1.0},
        frozen=("partial_vae",),
        evaluated=lambda **unused: policies.RandomCells(),
        policies=PHAM_POLICIES,
    ),
    Phase(
        name="second",
        policy=lambda **unused: policies.RandomCells(repeat=True),
        objective=objectives.evidence_objective,
        weights={"kl": 1.0, "reconstruction": 1.0},
        frozen=("patch_encoder", "location_mixer", "core", "classifier"),
        starts_from="first",
        reading={"imagine": True},
        evaluated=policies.InformationGain,
        policies=PHAM_POLICIES,
        watched="one_sample",
    ),
    Phase(
        name="third",
        policy=_plan_information_gain,
        objective=objectives.joint_objective,
        weights={"classification": 16.0, "kl": 1.0, "reconstruction": 1.0},
        starts_from="second",
        reading={"imagine": True},
        evaluated=policies.InformationGain,
        policies=PHAM_POLICIES,
        watched="one_sample",
    ),
)


def _context_policy(kind="context", **options):
    """The policy to train with: the model's own, or a control that never learns."""
    if kind == "context":
        return policies.ContextPolicy(**options)
    return _control(kind, own="context")


def _context_mean(kind="context", **options):
    if kind != "context":
        return None  # The emission has learned nothing.
    return policies.ContextPolicy(sample=False, **options)


_COMBINATIONS = ("high_medium", "high_low", "medium_low", "high_medium_low")

FINE_GRAINED_PHASES = (
    Phase(
        name="pretrain",
        policy=lambda **unused: policies.CenterPolicy(),
        objective=objectives.combination_objective,
        weights={
            **dict.fromkeys(_COMBINATIONS, 1.0),
            **{f"{name}_accuracy": 0.0 for name in _COMBINATIONS},
        },
        frozen=("core", "emission", "baseline", "classifier", "where"),
        fixed={"num_glimpses": 1, "mc_samples": 1},
        view=lambda network: network.resolutions,
    ),
    Phase(
        name="attend",
        policy=_context_policy,
        objective=objectives.ram_objective,
        weights={"classification": 1.0, "baseline": 1.0, "reinforce": 1.0},
        returns=RAM_RETURNS,
        frozen=("resolutions",),
        # The first decision is made of the context alone, by a part of the emission.
        decided={"emission": 2, "baseline": 1},
        starts_from="pretrain",
        reading={"classify_last": 1},
        policies={"mean": _context_mean},
        watched="mean",
    ),
)
