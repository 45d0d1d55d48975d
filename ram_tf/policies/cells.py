"""Policies that choose among the cells of a model with a grid."""

import dataclasses

import numpy as np
import tensorflow as tf
from keras import ops

from ram_tf import random
from ram_tf.models.capabilities import HasCells, Imagines, SeesAll
from ram_tf.models.outputs import Choice
from ram_tf.models.rollout import rollout
from ram_tf.ops import best_unseen, expected_information_gain
from ram_tf.policies.policy import Policy, check_first, fixed_choice


@dataclasses.dataclass(frozen=True)
class RandomCells(Policy):
    """Looks at cells drawn at random.

    Args:
        repeat: Boolean. Draw each one from all cells, or from those not seen yet.
    """

    repeat: bool = False
    blind = True
    needs = HasCells

    def plan(self, network, context, state, num_glimpses, seed):
        batch_size = ops.shape(state["hidden"])[0]
        if self.repeat:
            shape = (batch_size, num_glimpses)
            cells = random.uniform(
                shape, seed, maximum=network.num_cells, dtype="int32"
            )
        else:
            cells = _shuffled_cells(network, batch_size, num_glimpses, seed)
        return ops.take(network.cell_locations, cells, axis=0)


@dataclasses.dataclass(frozen=True)
class CentralCells(Policy):
    """Looks at cells from the centre outwards, the first in reading order of equals."""

    blind = True
    deterministic = True
    needs = HasCells

    def plan(self, network, context, state, num_glimpses, seed):
        distance = np.square(network.cell_locations).sum(axis=-1).round(6)
        nearest = np.argsort(distance, kind="stable")[:num_glimpses]
        places = ops.convert_to_tensor(network.cell_locations[nearest])
        batch_size = ops.shape(state["hidden"])[0]
        return ops.broadcast_to(places, (batch_size, num_glimpses, 2))


@dataclasses.dataclass(frozen=True)
class InformationGain(Policy):
    """Looks where the class is expected to become clearest.

    Imagines the features of all cells from what was seen, and scores each cell by the
    expected divergence of the belief after looking at it from the belief now. A seen
    cell is never chosen again; the first of equal cells is. No gradient passes.

    Args:
        num_samples: Int. Imagined images that the expectation is taken over.
        feature_noise: Boolean. Draw the features of imagined cells from the decoder's
            likelihood instead of taking its means, as published: nobody sees a mean,
            and what the mean promises is less than what a glimpse tells.
        first_location: (x, y) or `None`. The first glimpse; `None` for a random cell.

    Reference:
        [Rangrej and Clark, 2021](https://arxiv.org/abs/2111.07534), section 3.2.
    """

    num_samples: int = 20
    feature_noise: bool = False
    first_location: tuple | None = None
    unroll = False
    needs = Imagines

    def __post_init__(self):
        check_first(self.first_location)
        if self.num_samples < 1:
            raise ValueError(
                f"`num_samples` must be at least 1. Received: {self.num_samples}."
            )

    def start(self, network, context, state, *, seed, training):
        if self.first_location is not None:
            return fixed_choice(network, self.first_location, state)
        # The cell that `RandomCells` begins with.
        batch_size = ops.shape(state["hidden"])[0]
        cell = _shuffled_cells(network, batch_size, 1, seed)[:, 0]
        return Choice(ops.take(network.cell_locations, cell, axis=0))

    def __call__(self, network, context, state, *, seed, training):
        batch_size = ops.shape(state["hidden"])[0]
        noise = self.draw_noise(
            (batch_size, self.num_samples, network.latent_units), seed
        )
        imagined = network.imagine(state["hidden"], noise)["imagined"]
        if self.feature_noise:
            imagined = network.draw_features(imagined, random.fold_in(seed, 0))
        return most_informative(network, state, imagined)

    def draw_noise(self, shape, seed):
        """Standard normal draws `(batch, samples, latent_units)`."""
        return random.normal(shape, seed)


@dataclasses.dataclass(frozen=True)
class Oracle(Policy):
    """Information gain with the true features of all cells instead of imagined ones.

    Sees the whole image, which no policy may: what one step of lookahead could reach if
    it imagined perfectly.

    Args:
        first_location: (x, y) or `None`. The first glimpse; `None` for a random cell.
    """

    first_location: tuple | None = None
    unroll = False
    needs = SeesAll
    start = InformationGain.start

    def __post_init__(self):
        check_first(self.first_location)

    def __call__(self, network, context, state, *, seed, training):
        features = network.true_features(context)
        return most_informative(network, state, features[:, None])


@dataclasses.dataclass(frozen=True)
class PlannedAhead(Policy):
    """Takes another policy's whole path first, in inference mode and without gradients.

    Then the glimpses of a training step are known beforehand: they are encoded in one
    call, and the policy neither learns nor changes any statistics.

    Args:
        policy: The policy that chooses.
    """

    policy: Policy

    @property
    def deterministic(self):
        return self.policy.deterministic

    @property
    def needs(self):
        return self.policy.needs

    @property
    def path_of(self):
        return self.policy

    def plan(self, network, context, state, num_glimpses, seed):
        path = rollout(network, self.policy, context, num_glimpses, seed=seed)
        return ops.stop_gradient(path.locations)


def most_informative(network, state, features):
    """Chooses the unseen cell whose features are expected to tell most.

    Args:
        network: A built `PHAM`.
        state: Its state.
        features: Tensor `(batch, samples, cells, feature_units)`, seen or imagined.

    Returns:
        A `Choice` whose extras hold `gain` `(batch, cells)` in nats, minus infinity
        where seen.
    """
    gain = expected_information_gain(*network.lookahead(state, features))
    cell, gain = best_unseen(ops.stop_gradient(gain), state["seen"])
    place = ops.take(network.cell_locations, cell, axis=0)
    return Choice(place, ops.zeros_like(place[:, 0]), {"gain": gain})


def _shuffled_cells(network, batch_size, count, seed):
    """Draws `count` different cells `(batch, count)`; the first ones for any count."""
    draws = random.uniform((batch_size, network.num_cells), seed)
    return tf.math.top_k(draws, count).indices
