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
        frozen: Attributes of the network that do not train.
        starts_from: Name of the phase whose weights this one starts from, or `None`.
        classified: How many of the last glimpses the objective needs logits of, or
            `None`, all. Training leaves out the others.
    """

    name: str
    policy: Callable[..., Any]
    objective: Callable[..., dict]
    weights: Mapping[str, float]
    frozen: tuple[str, ...] = ()
    starts_from: str | None = None
    classified: int | None = None


RAM_PHASES = (
    Phase(
        name="train",
        policy=policies.GaussianPolicy,
        objective=objectives.ram_objective,
        weights={"classification": 1.0, "baseline": 1.0, "reinforce": 1.0},
        classified=1,
    ),
)
