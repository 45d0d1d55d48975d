import dataclasses

from ram_tf.models.capabilities import Opens
from ram_tf.models.outputs import Choice
from ram_tf.policies.policy import Policy


@dataclasses.dataclass(frozen=True)
class OpeningPolicy(Policy):
    """Asks the network's Gaussian location head, for the first glimpse too.

    A network that has seen the whole coarsely decides on its first glimpse from that.
    Every decision is valued from the state that made it: the baselines of a rollout are
    those of its decisions, one for each.

    Args:
        sample: Boolean. Draw from the Gaussian, or take its mean.
        aims: Boolean. As of `GaussianPolicy`.

    Reference:
        [Ba et al., 2015](https://arxiv.org/abs/1412.7755), section 3.
    """

    sample: bool = True
    aims: bool = False
    needs = Opens

    @property
    def deterministic(self):
        return not self.sample

    def start(self, network, context, state, *, seed, training):
        return self(network, context, state, seed=seed, training=training)

    def __call__(self, network, context, state, *, seed, training):
        location, log_prob = network.decide(state, sample=self.sample, seed=seed)
        said = {"aims": network.aim(state)} if self.aims and training else {}
        return Choice(location, log_prob, {"baselines": network.value(state), **said})
