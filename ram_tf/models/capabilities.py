"""What a policy may need of a network, beside what every `AttentionModel` has."""

import typing
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from ram_tf.errors import InputError


@runtime_checkable
class Points(Protocol):
    """A network with a location head, which decides from the hidden state."""

    location: Callable


@runtime_checkable
class Opens(Points, Protocol):
    """A network that decides on its first glimpse too, and values what decides."""

    context: Callable
    value: Callable


@runtime_checkable
class Emits(Protocol):
    """A network that emits the next place as it takes a glimpse in."""

    emission: Callable


@runtime_checkable
class HasCells(Protocol):
    """A network that looks at the cells of a grid."""

    num_cells: int
    cell_locations: Any


@runtime_checkable
class LooksAhead(HasCells, Protocol):
    """A network that says what it would believe after given features of each cell."""

    lookahead: Callable


@runtime_checkable
class Imagines(LooksAhead, Protocol):
    """A network that imagines the features of cells that it has not seen."""

    latent_units: int
    imagine: Callable
    draw_features: Callable


@runtime_checkable
class SeesAll(LooksAhead, Protocol):
    """A network that can be asked for the features of all cells, seen or not."""

    true_features: Callable


def check_capabilities(network, policy):
    """Raises an `InputError` that names what a policy needs and a network lacks.

    Args:
        network: A built `AttentionModel`.
        policy: A `Policy`.
    """
    if isinstance(network, policy.needs):
        return
    names = set(dir(network))
    missing = sorted(set(typing.get_type_hints(policy.needs)) - names)
    raise InputError(
        f"{type(policy).__name__} needs {_in_words(policy.needs)}; "
        f"{type(network).__name__} has no {', '.join(missing)}."
    )


def _in_words(capability):
    sentence = capability.__doc__.splitlines()[0]
    return sentence[0].lower() + sentence[1:].rstrip(".")
