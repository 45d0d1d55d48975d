import dataclasses

from keras import ops

from ram_tf import random
from ram_tf.models.capabilities import Emits
from ram_tf.models.outputs import Choice
from ram_tf.ops import normal_log_prob
from ram_tf.policies.policy import Policy


@dataclasses.dataclass(frozen=True)
class ContextPolicy(Policy):
    """Looks where a `FineGrained` network emits, squashed into the image by a tanh.

    The first glimpse is a decision too, made from the context alone. The log-density is
    that of the draw before it is squashed, under the Gaussian it was drawn from.

    Args:
        sample: Boolean. Draw from the Gaussian, or take its mean.
        stddev: Float > 0. Standard deviation before squashing, in units of normalised
            image coordinates.

    Reference:
        [Sermanet et al., 2014](https://arxiv.org/abs/1412.7054), section 3.
    """

    sample: bool = True
    stddev: float = 0.2
    needs = Emits

    def __post_init__(self):
        if self.stddev <= 0:
            raise ValueError(f"`stddev` must be positive. Received: {self.stddev}.")

    @property
    def deterministic(self):
        return not self.sample

    def start(self, network, context, state, *, seed, training):
        return self(network, context, state, seed=seed, training=training)

    def __call__(self, network, context, state, *, seed, training):
        mean, draw = state["mean"], state["mean"]
        if self.sample:
            draw = mean + self.stddev * random.normal(ops.shape(mean), seed)
        draw = ops.stop_gradient(draw)
        log_prob = normal_log_prob(draw, mean, self.stddev)
        return Choice(ops.tanh(draw), log_prob, state["emitted"])
