"""The published families: a model, its phases, and its deterministic policy."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from ram_tf import models, phases, policies
from ram_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class Family:
    """What the spine needs to know of a family.

    Attributes:
        build: `(num_classes, **model section) -> AttentionModel`, not yet built.
        phases: Its phases, in order.
        policies: Its policies beside `learned`, name -> factory called with the
            config's policy section; one that returns `None` does not apply to it. One
            with the name of a control stands for it.
        shown: Name of the policy that predicts and is drawn unless another is named;
            `learned` if that one does not apply.
    """

    build: Callable[..., Any]
    phases: tuple[phases.Phase, ...]
    policies: Mapping[str, Callable[..., Any]]
    shown: str = "learned"

    def phase(self, name):
        """Returns the phase of that name.

        Raises:
            InputError: If there is none.
        """
        for phase in self.phases:
            if phase.name == name:
                return phase
        known = ", ".join(phase.name for phase in self.phases)
        raise InputError(f"unknown phase {name!r}: this family has {known}.")


def _mean_policy(kind="gaussian", first_location=None, **unused):
    del unused  # A deterministic first glimpse is the centre or the fixed place.
    if kind != "gaussian":
        return None  # The location head has learned nothing.
    return policies.GaussianPolicy(sample=False, first_location=first_location)


def _one_sample(num_samples=None, **options):
    del num_samples
    return policies.InformationGain(num_samples=1, **options)


def _oracle(first_location=None, **unused):
    del unused
    return policies.Oracle(first_location)


FAMILIES = {
    "active_ram": Family(
        build=models.ActiveRAM.from_options,
        phases=phases.ACTIVE_RAM_PHASES,
        policies={"mean": _mean_policy},
        shown="mean",
    ),
    "open_set_ram": Family(
        build=models.RAM.from_options,
        phases=phases.OPEN_SET_PHASES,
        policies={"mean": _mean_policy},
        shown="mean",
    ),
    "pham": Family(
        build=models.PHAM,
        phases=phases.PHAM_PHASES,
        policies={
            "one_sample": _one_sample,
            "oracle": _oracle,
            "random": lambda **unused: policies.RandomCells(),
            "center": lambda **unused: policies.CentralCells(),
        },
    ),
    "ram": Family(
        build=models.RAM.from_options,
        phases=phases.RAM_PHASES,
        policies={"mean": _mean_policy},
        shown="mean",
    ),
}
