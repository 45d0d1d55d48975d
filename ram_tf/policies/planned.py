"""Policies that know all their places beforehand: the controls."""

import dataclasses

from keras import ops

from ram_tf.ops import raster_locations, uniform_locations
from ram_tf.policies.policy import Policy, check_first, fixed_choice


@dataclasses.dataclass(frozen=True)
class RandomPolicy(Policy):
    """Looks at places drawn uniformly.

    Args:
        first_fraction: Float in [0, 1]. The first glimpse is drawn from this centred
            fraction of the image, as that of the policy it is compared with.
        first_location: (x, y) or `None`. A fixed first glimpse instead.
    """

    first_fraction: float = 1.0
    first_location: tuple | None = None
    blind = True

    def __post_init__(self):
        check_first(self.first_location, self.first_fraction)

    def plan(self, network, context, state, num_glimpses, seed):
        batch_size = ops.shape(state["hidden"])[0]
        places = uniform_locations((batch_size, num_glimpses), seed)
        first = self.first_fraction * places[:, :1]
        if self.first_location is not None:
            first = fixed_choice(self.first_location, state).action[:, None]
        return ops.concatenate([first, places[:, 1:]], axis=1)


@dataclasses.dataclass(frozen=True)
class CenterPolicy(Policy):
    """Looks at the centre again and again."""

    blind = True
    deterministic = True

    def plan(self, network, context, state, num_glimpses, seed):
        batch_size = ops.shape(state["hidden"])[0]
        return ops.zeros((batch_size, 1, 2))


@dataclasses.dataclass(frozen=True)
class RasterPolicy(Policy):
    """Looks at places spread evenly over the image, in reading order."""

    blind = True
    deterministic = True

    def plan(self, network, context, state, num_glimpses, seed):
        batch_size = ops.shape(state["hidden"])[0]
        places = ops.convert_to_tensor(raster_locations(num_glimpses))
        return ops.broadcast_to(places, (batch_size, num_glimpses, 2))
