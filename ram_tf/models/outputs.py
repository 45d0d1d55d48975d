"""What the loop passes around. B batch, T glimpses, A decisions, K classes."""

from typing import Any, NamedTuple


class Choice(NamedTuple):
    """Where a policy wants to look next.

    Attributes:
        action: `(B, 2)`, (x, y) before clipping to the image; `(B, 3)`, (x, y, z),
            where a scale is decided too.
        log_prob: `(B,)`, log-density of `action` in nats, or `None` where nothing was
            decided (a first glimpse that is drawn or fixed).
        extras: What the policy computed on the way, name -> `(B, ...)`.
    """

    action: Any
    log_prob: Any = None
    extras: dict = {}


class Rollout(NamedTuple):
    """Every step of looking at a batch of images.

    Decisions are stored in the order they were made. Where the first glimpse is drawn,
    decision t follows glimpse t and leads to glimpse t + 1, so A = T - 1, or T when the
    last state was asked too; a policy that knows its places beforehand decides nothing
    and A = 0.

    Attributes:
        locations: `(B, T, 2)`, or of 3 as actions, where the glimpses were taken,
            clipped to [-1, 1].
        hidden: `(B, T, units)`, the core's output after each glimpse.
        logits: `(B, T, K)`, float32, the classifier's output after each glimpse, or
            after the last ones alone where no others were asked for.
        actions: `(B, A, 2)` or of 3, what was decided, before clipping.
        log_probs: `(B, A)`, log-densities of `actions`, in nats.
        extras: What a family or policy adds, name -> `(B, T or A, ...)`.
    """

    locations: Any
    hidden: Any
    logits: Any
    actions: Any
    log_probs: Any
    extras: dict


def scales_of(network, locations):
    """What is told beside locations: `{"scales": (...)}`, or nothing without a `zoom`.

    Args:
        network: An `AttentionModel`.
        locations: Tensor `(..., num_coordinates)`.
    """
    return {} if network.zoom is None else {"scales": network.scale_at(locations)}
