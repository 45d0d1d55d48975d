"""Policies that know all their places beforehand: the controls."""

import dataclasses

from keras import ops

from ram_tf.ops import raster_locations, uniform_locations


@dataclasses.dataclass(frozen=True)
class RandomPolicy:
    """Looks at places drawn uniformly from the centred `fraction` of the image."""

    fraction: float = 1.0
    deterministic = False
    count_last_action = False
    unroll = True

    def plan(self, network, context, state, num_glimpses, seed):
        batch_size = ops.shape(state["hidden"])[0]
        return uniform_locations((batch_size, num_glimpses), seed, self.fraction)


@dataclasses.dataclass(frozen=True)
class CenterPolicy:
    """Looks at the centre again and again."""

    deterministic = True
    count_last_action = False
    unroll = True

    def plan(self, network, context, state, num_glimpses, seed):
        batch_size = ops.shape(state["hidden"])[0]
        return ops.zeros((batch_size, num_glimpses, 2))


@dataclasses.dataclass(frozen=True)
class RasterPolicy:
    """Looks at places spread evenly over the image, in reading order."""

    deterministic = True
    count_last_action = False
    unroll = True

    def plan(self, network, context, state, num_glimpses, seed):
        batch_size = ops.shape(state["hidden"])[0]
        places = ops.convert_to_tensor(raster_locations(num_glimpses))
        return ops.broadcast_to(places, (batch_size, num_glimpses, 2))
