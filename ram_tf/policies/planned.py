"""Policies that know all their places beforehand: the controls."""

import dataclasses

from keras import ops

from ram_tf.ops import raster_locations, uniform_locations
from ram_tf.policies.policy import Policy


@dataclasses.dataclass(frozen=True)
class RandomPolicy(Policy):
    """Looks at places drawn uniformly from the centred `fraction` of the image."""

    fraction: float = 1.0

    def plan(self, network, context, state, num_glimpses, seed):
        batch_size = ops.shape(state["hidden"])[0]
        return uniform_locations((batch_size, num_glimpses), seed, self.fraction)


@dataclasses.dataclass(frozen=True)
class CenterPolicy(Policy):
    """Looks at the centre again and again."""

    deterministic = True

    def plan(self, network, context, state, num_glimpses, seed):
        batch_size = ops.shape(state["hidden"])[0]
        return ops.zeros((batch_size, 1, 2))


@dataclasses.dataclass(frozen=True)
class RasterPolicy(Policy):
    """Looks at places spread evenly over the image, in reading order."""

    deterministic = True

    def plan(self, network, context, state, num_glimpses, seed):
        batch_size = ops.shape(state["hidden"])[0]
        places = ops.convert_to_tensor(raster_locations(num_glimpses))
        return ops.broadcast_to(places, (batch_size, num_glimpses, 2))
