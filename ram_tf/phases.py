"""Phases of training, as data."""

import dataclasses
import functools
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
        frozen: Attributes of the network that do not train.
        starts_from: Name of the phase whose weights this one starts from, or `None`.
        reading: Options of the network's `read`: what the objective needs of it.
        evaluated: Factory of the policy to evaluate with, or `None`, the same.
        watched: Name of the policy whose path is watched as training goes: `learned`,
            or a cheaper one of the family's.
    """

    name: str
    policy: Callable[..., Any]
    objective: Callable[..., dict]
    weights: Mapping[str, float]
    frozen: tuple[str, ...] = ()
    starts_from: str | None = None
    reading: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    evaluated: Callable[..., Any] | None = None
    watched: str = "learned"


def _ram_policy(kind="gaussian", **options):
    """The policy to train with: the model's own, or a control that never learns."""
    if kind == "gaussian":
        return policies.GaussianPolicy(**options)
    if kind not in policies.CONTROLS:
        known = ", ".join(["gaussian", *policies.CONTROLS])
        raise ValueError(f"unknown policy.kind {kind!r}: expected one of {known}")
    return policies.CONTROLS[kind]


RAM_PHASES = (
    Phase(
        name="train",
        policy=_ram_policy,
        objective=objectives.ram_objective,
        weights={"classification": 1.0, "baseline": 1.0, "reinforce": 1.0},
        reading={"classify_last": 1},
        watched="mean",
    ),
)

OPEN_SET_PHASES = tuple(
    dataclasses.replace(
        phase,
        objective=functools.partial(
            objectives.ram_objective, returns=objectives.is_right_and_not_false_alarm
        ),
    )
    for phase in RAM_PHASES
)

ACTIVE_RAM_PHASES = (
    Phase(
        name="train",
        policy=_ram_policy,
        objective=objectives.active_ram_objective,
        weights={
            "classification": 1.0,
            "baseline": 1.0,
            "reinforce": 1.0,
            "error_fit": 1.0,
            "uncertainty": 1e-3,
            "intrinsic_belief": 1e-2,
        },
        watched="mean",
    ),
)


def _plan_information_gain(**unused):
    del unused  # One sample, and always a random first cell.
    return policies.PlannedAhead(policies.InformationGain(num_samples=1))


PHAM_PHASES = (
    Phase(
        name="first",
        policy=lambda **unused: policies.RandomPolicy(),
        objective=objectives.classification_objective,
        weights={"classification": 1.0},
        frozen=("partial_vae",),
        evaluated=lambda **unused: policies.RandomCells(),
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
        watched="one_sample",
    ),
)
