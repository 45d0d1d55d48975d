"""Policies that know all their places beforehand: the controls."""

import dataclasses

from keras import ops

from ram_tf import random
from ram_tf.ops import raster_locations, uniform_locations
from ram_tf.policies.policy import Policy, at_middle_scale, check_first, fixed_choice


@dataclasses.dataclass(frozen=True)
class RandomPolicy(Policy):
    """Looks at places drawn uniformly, and at scales, where there are several.

    Args:
        first_fraction: Float in [0, 1] or `None`. The first glimpse is the one that
            `GaussianPolicy` takes with this fraction and the same seed, so that the two
            are compared from there on; `None`, a place like any other.
        first_location: (x, y) or `None`. A fixed first glimpse instead.
    """

    first_fraction: float | None = None
    first_location: tuple | None = None
    blind = True

    def __post_init__(self):
        fraction = 1.0 if self.first_fraction is None else self.first_fraction
        check_first(self.first_location, fraction)

    def plan(self, network, context, state, num_glimpses, seed):
        batch_size = ops.shape(state["hidden"])[0]
        if self.first_location is not None:
            first = fixed_choice(network, self.first_location, state).action
        elif self.first_fraction is not None:
            first = uniform_locations((batch_size,), seed, self.first_fraction)
            first = at_middle_scale(network, first)
            seed = random.fold_in(seed, 1)  # Those of the others are not drawn yet.
        else:
            return self._draw(network, (batch_size, num_glimpses), seed)
        places = self._draw(network, (batch_size, num_glimpses), seed)
        return ops.concatenate([first[:, None], places[:, 1:]], axis=1)

    def _draw(self, network, shape, seed):
        count = network.num_coordinates
        return uniform_locations(shape, seed, num_coordinates=count)


@dataclasses.dataclass(frozen=True)
class CenterPolicy(Policy):
    """Looks at the centre again and again, at the middle scale if there are several."""

    blind = True
    deterministic = True

    def plan(self, network, context, state, num_glimpses, seed):
        batch_size = ops.shape(state["hidden"])[0]
        return ops.zeros((batch_size, 1, network.num_coordinates))


@dataclasses.dataclass(frozen=True)
class RasterPolicy(Policy):
    """Looks at places spread evenly over the image, in reading order.

    Where there are several scales, at the middle one.
    """

    blind = True
    deterministic = True

    def plan(self, network, context, state, num_glimpses, seed):
        batch_size = ops.shape(state["hidden"])[0]
        places = ops.convert_to_tensor(raster_locations(num_glimpses))
        places = ops.broadcast_to(places, (batch_size, num_glimpses, 2))
        return at_middle_scale(network, places)
