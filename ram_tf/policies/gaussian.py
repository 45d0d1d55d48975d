import dataclasses

from keras import ops

from ram_tf.models.outputs import Choice
from ram_tf.ops import uniform_locations


@dataclasses.dataclass(frozen=True)
class GaussianPolicy:
    """Asks the network's Gaussian location head.

    Args:
        sample: Boolean. Draw from the Gaussian, or take its mean. The deterministic
            first glimpse is the centre.
        first_fraction: Float in [0, 1]. The first glimpse is drawn uniformly from this
            centred fraction of the range.
        first_location: (x, y) or `None`. A fixed first glimpse instead.
        count_last_action: Boolean. Decide after the last glimpse too.
    """

    sample: bool = True
    first_fraction: float = 1.0
    first_location: tuple | None = None
    count_last_action: bool = False
    unroll = True

    @property
    def deterministic(self):
        return not self.sample

    def plan(self, network, context, state, num_glimpses, seed):
        return None

    def start(self, network, context, state, *, seed, training):
        batch_size = ops.shape(state["hidden"])[0]
        if self.first_location is not None:
            place = ops.convert_to_tensor(self.first_location, dtype="float32")
            return Choice(ops.broadcast_to(place, (batch_size, 2)))
        fraction = self.first_fraction if self.sample else 0.0
        return Choice(uniform_locations((batch_size,), seed, fraction))

    def __call__(self, network, context, state, *, seed, training):
        return Choice(
            *network.location(state["hidden"], training=self.sample, seed=seed)
        )
