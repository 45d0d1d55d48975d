"""The published families: a model, its phases, and the policy to show."""

import dataclasses
from collections.abc import Callable
from typing import Any

from ram_tf import models, phases
from ram_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class Family:
    """What the spine needs to know of a family.

    Attributes:
        build: `(num_classes, **model section) -> AttentionModel`, not yet built.
        phases: Its phases, in order.
        shown: Name of the policy that predicts and is drawn unless another is named;
            `learned` if that one does not apply.
        pretrained: Boolean. Whether a phase may start from weights that were not
            trained here (`AttentionModel.load_pretrained`).
    """

    build: Callable[..., Any]
    phases: tuple[phases.Phase, ...]
    shown: str = "learned"
    pretrained: bool = False

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


FAMILIES = {
    "active_ram": Family(
        models.ActiveRAM.from_options, phases.ACTIVE_RAM_PHASES, shown="mean"
    ),
    "fine_grained": Family(
        models.FineGrained.from_options,
        phases.FINE_GRAINED_PHASES,
        shown="mean",
        pretrained=True,
    ),
    "open_set_ram": Family(
        models.RAM.from_options, phases.OPEN_SET_PHASES, shown="mean"
    ),
    "pham": Family(models.PHAM, phases.PHAM_PHASES),
    "ram": Family(models.RAM.from_options, phases.RAM_PHASES, shown="mean"),
}


def find_family(name):
    """Returns the `Family` of that name.

    Raises:
        InputError: If there is none.
    """
    if name not in FAMILIES:
        raise InputError(
            f"unknown family {name!r}: expected one of {', '.join(sorted(FAMILIES))}."
        )
    return FAMILIES[name]
