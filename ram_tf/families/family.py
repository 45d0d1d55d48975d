"""What the spine needs to know of a family."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from ram_tf.errors import InputError
from ram_tf.families.phase import Phase


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
        fixed: Phase -> {key of its section: value}, of what a published short name
            asks for and the phase has no choice in.
    """

    build: Callable[..., Any]
    phases: tuple[Phase, ...]
    shown: str = "learned"
    pretrained: bool = False
    fixed: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)

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
