"""What the spine needs to know of a family."""

import dataclasses
import inspect
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
        default_policy: Name of the policy that predicts and is drawn unless another is
            named; `learned` if that one does not apply.
        pretrained: Boolean. Whether a phase may start from weights that were not
            trained here (`AttentionModel.load_pretrained`).
        fixed: Phase -> {key of its section: value}, of what a published short name
            asks for and the phase has no choice in.
    """

    build: Callable[..., Any]
    phases: tuple[Phase, ...]
    default_policy: str = "learned"
    pretrained: bool = False
    fixed: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)

    @property
    def policy_keys(self):
        """Keys of the policy section, sorted: what some policy of a phase takes."""
        factories = [make for phase in self.phases for make in phase.factories]
        return sorted(
            {key for make in factories for key in inspect.signature(make).parameters}
        )

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
