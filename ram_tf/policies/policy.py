"""What every policy is."""

from keras import ops

from ram_tf.models.outputs import Choice


class Policy:
    """Decides where to look. May draw random numbers, never owns weights.

    A policy either knows its places beforehand and overrides `plan`, or it overrides
    `start` and `__call__`.

    Attributes:
        blind: Boolean. It looks where it does whatever the image shows, as controls do.
        deterministic: Boolean. Looking twice at one image gives the same places.
        count_last_action: Boolean. The policy is asked after the last glimpse too,
            though no glimpse follows.
        unroll: Boolean. The policy is cheap. One that computes much is compiled once,
            in a loop, where no gradient is needed.
        needs: What it needs of a network, of `models.capabilities`.
        path_of: The policy whose path it takes first, in a rollout of its own without
            gradients, or `None`.
    """

    blind = False
    deterministic = False
    count_last_action = False
    unroll = True
    needs = object
    path_of = None

    def plan(self, network, context, state, num_glimpses, seed):
        """All locations `(batch, glimpses, 2)`, or one `(batch, 1, 2)` for all
        glimpses; `None` if they depend on what is seen. With a `zoom`, of 3 numbers.
        """
        return None

    def start(self, network, context, state, *, seed, training):
        """The `Choice` of the first glimpse."""
        raise NotImplementedError(f"{type(self).__name__} has no start.")

    def __call__(self, network, context, state, *, seed, training):
        """The `Choice` of the next glimpse."""
        raise NotImplementedError(f"{type(self).__name__} cannot choose.")


def check_first(location, fraction=1.0):
    """Raises a `ValueError` if no first glimpse can be taken from these."""
    if not 0 <= fraction <= 1:
        raise ValueError(f"first_fraction must lie in [0, 1], got {fraction:g}")
    if location is not None and not (
        len(location) == 2 and all(-1 <= coordinate <= 1 for coordinate in location)
    ):
        raise ValueError(
            f"first_location must be (x, y), both in [-1, 1], got {location}"
        )


def fixed_choice(network, location, state):
    """The `Choice` of one place (x, y) for all images."""
    place = ops.convert_to_tensor(location, dtype="float32")
    place = ops.broadcast_to(place, (ops.shape(state["hidden"])[0], 2))
    return Choice(at_middle_scale(network, place))


def at_middle_scale(network, places):
    """Returns places `(..., 2)` as a network's locations, at the middle of its scales.

    Args:
        network: An `AttentionModel`; without a `zoom`, places are its locations.
        places: Tensor `(..., 2)`, (x, y) in [-1, 1].
    """
    if network.zoom is None:
        return places
    return ops.concatenate([places, ops.zeros_like(places[..., :1])], axis=-1)
