"""Whole images in, classes out: what an exported model answers at once."""

import tensorflow as tf
from keras import ops

from ram_tf import random
from ram_tf.models.looker import Looker
from ram_tf.models.outputs import scales_of
from ram_tf.serving.answers import copy_key, gain_on_grid


class Classifier:
    """Classifies whole images by one policy, each by a seed of its own.

    Args:
        network: A built `AttentionModel`.
        policy: Where to look.
        num_glimpses: Int.
        copies: Int. Sampled sequences of glimpses that are averaged; what draws nothing
            has one.
        labels: `Labels`.
        rule: A `StopRule`, or `None`: each image has all its glimpses.
    """

    def __init__(self, network, policy, num_glimpses, copies, labels, rule):
        self.is_random = network.is_random(policy)
        self.looker = Looker(
            network,
            policy,
            num_glimpses,
            copies=copies if self.is_random else 1,
            xla=False,
            xla_sense=False,  # A server has no compiler.
        )
        self.labels = labels
        self.rule = rule
        # Traced once and called by every signature that classifies.
        self._traced = tf.function(self._classify, autograph=False)

    def __call__(self, images, seed):
        """Classifies images `(batch, ...)`, floats in [0, 1], by seeds `(batch,)`."""
        return self._traced(images, seed)

    def _classify(self, images, seed):
        looker = self.looker
        result = looker.look(looker.prepare(images), self._seeds(seed))
        belief = looker.average(ops.softmax(result.logits))
        taken = self._glimpses_taken(belief, result.extras)
        last = tf.gather(belief, taken - 1, axis=1, batch_dims=1)
        answer = self.labels.predict(last)
        if "gain" in result.extras:
            gain = looker.by_copy(result.extras["gain"])[:, 0]
            answer["information_gain"] = gain_on_grid(looker.network, gain)
        looked = looker.by_copy(result.locations)[:, 0]
        return {
            **answer,
            "probabilities_per_glimpse": belief,
            "locations": looked,
            **scales_of(looker.network, looked),
            "num_glimpses": taken,
        }

    def _seeds(self, seed):
        if not self.is_random:
            return random.make_seed(0)  # Unused; one an example would cost time.
        keys = [copy_key(seed, copy) for copy in range(self.looker.copies)]
        return tf.reshape(tf.stack(keys, axis=1), (-1, 2))

    def _glimpses_taken(self, belief, extras):
        """After which glimpse each image may stop; after the last one it does."""
        num_glimpses = self.looker.num_glimpses
        stops = None
        if self.rule is not None:
            stops = self.looker.may_stop(self.rule, belief, extras)
        if stops is None:
            return tf.fill(tf.shape(belief)[:1], num_glimpses)
        stops = stops[:, : num_glimpses - 1]
        stops = tf.pad(stops, [[0, 0], [0, 1]], constant_values=True)
        return 1 + tf.argmax(stops, axis=1, output_type=tf.int32)
