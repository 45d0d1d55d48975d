"""The published families: a model, its phases, and its deterministic policy."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from ram_tf import models, phases, policies


@dataclasses.dataclass(frozen=True)
class Family:
    """What the spine needs to know of a family.

    Attributes:
        build: `(num_classes, **model section) -> AttentionModel`, not yet built.
        phases: Its phases, in order.
        policies: Its policies beside `learned` and the controls, name -> factory called
            with the config's policy section. `mean` is the deterministic one.
    """

    build: Callable[..., Any]
    phases: tuple[phases.Phase, ...]
    policies: Mapping[str, Callable[..., Any]]


def _mean_policy(first_location=None, **unused):
    del unused  # A deterministic first glimpse is the centre or the fixed place.
    return policies.GaussianPolicy(sample=False, first_location=first_location)


FAMILIES = {
    "ram": Family(
        build=models.RAM.from_options,
        phases=phases.RAM_PHASES,
        policies={"mean": _mean_policy},
    ),
}
