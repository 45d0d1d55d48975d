import dataclasses

from keras import ops

from ram_tf.models.capabilities import Points
from ram_tf.models.outputs import Choice
from ram_tf.ops import uniform_locations
from ram_tf.policies.policy import Policy, at_middle_scale, check_first, fixed_choice


@dataclasses.dataclass(frozen=True)
class GaussianPolicy(Policy):
    """Asks the network's Gaussian location head.

    A first glimpse, which it does not decide, has the middle of all scales where there
    are several.

    Args:
        sample: Boolean. Draw from the Gaussian, or take its mean. The deterministic
            first glimpse is the centre.
        first_fraction: Float in [0, 1]. The first glimpse is drawn uniformly from this
            centred fraction of the range.
        first_location: (x, y) or `None`. A fixed first glimpse instead.
        count_last_action: Boolean. Decide after the last glimpse too.
        aims: Boolean. In training, say around which place each decision was drawn:
            `aims` of the extras, as its action, with its gradient.
    """

    sample: bool = True
    first_fraction: float = 1.0
    first_location: tuple | None = None
    count_last_action: bool = False
    aims: bool = False
    needs = Points

    def __post_init__(self):
        check_first(self.first_location, self.first_fraction)

    @property
    def deterministic(self):
        return not self.sample

    def start(self, network, context, state, *, seed, training):
        if self.first_location is not None:
            return fixed_choice(network, self.first_location, state)
        batch_size = ops.shape(state["hidden"])[0]
        fraction = self.first_fraction if self.sample else 0.0
        places = uniform_locations((batch_size,), seed, fraction)
        return Choice(at_middle_scale(network, places))

    def __call__(self, network, context, state, *, seed, training):
        location, log_prob = network.decide(state, sample=self.sample, seed=seed)
        said = {"aims": network.aim(state)} if self.aims and training else {}
        return Choice(location, log_prob, said)
