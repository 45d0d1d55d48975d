"""Looking at batches of images: the rollout, copied, averaged and compiled."""

import functools

import tensorflow as tf
from keras import ops

from ram_tf import random
from ram_tf.models.capabilities import check_capabilities
from ram_tf.models.outputs import scales_of
from ram_tf.models.rollout import rollout


class Looker:
    """Looks at images by one policy.

    Training, evaluation, export, prediction and benchmarks all look through one of
    these. It is no layer: what it does is part of the function that calls it, which
    `compile` compiles.

    Args:
        network: A built `AttentionModel`.
        policy: Where to look.
        num_glimpses: Int.
        copies: Int. Each image is looked at so often, with noise of its own each time,
            and class probabilities are averaged.
        reading: Dictionary of options for `network.read`, or `None`.
        xla: Boolean. Whether what `compile` returns is compiled with XLA. (Of what is
            read in windows, what follows each glimpse; reading is not.)
        xla_sense: Boolean. Whether, without `xla`, what cuts glimpses is compiled with
            it by itself: a quarter of the time on a CPU, but nothing to be exported.

    Raises:
        InputError: If an image cannot be looked at so often, or the network lacks what
            the policy needs.
    """

    def __init__(
        self,
        network,
        policy,
        num_glimpses,
        *,
        copies=1,
        reading=None,
        xla=True,
        xla_sense=True,
    ):
        network.check_glimpses(num_glimpses)
        check_capabilities(network, policy)
        self.network = network
        self.policy = policy
        self.num_glimpses = num_glimpses
        self.copies = copies
        self.reading = reading
        self.xla = xla
        compiled = xla_sense and not xla
        self.compile_thought = None
        if network.sensor is not None:
            compiled = False
            self.compile_thought = functools.partial(
                tf.function, jit_compile=xla, autograph=False
            )
        self.sense = network.compiled_sense if compiled else network.sense

    def compile(self, function):
        """Returns a `tf.function` of a function that looks.

        Where images are read in windows, reading is not compiled with XLA, and what is
        made of each glimpse is.

        Raises:
            InputError: When called, if there is an image that cannot be read.
        """
        if self.network.sensor is None:
            return tf.function(function, jit_compile=self.xla, autograph=False)
        traced = tf.function(function, autograph=False)

        @functools.wraps(function)
        def look(*arguments):
            with self.network.naming_failures():
                return traced(*arguments)

        return look

    def prepare(self, images, training=False):
        """Computes what is needed once an image: see `AttentionModel.prepare`.

        It is called outside of what `compile` compiles.
        """
        return self.network.prepare(images, training=training)

    def look(self, context, seed, training=False):
        """Looks at prepared images.

        Args:
            context: What `prepare` returned.
            seed: Int32 tensor `(2,)`, or `(batch * copies, 2)`: one for each copy.
            training: Boolean.

        Returns:
            A `Rollout` of all copies, those of one image side by side.
        """
        return rollout(
            self.network,
            self.policy,
            context,
            self.num_glimpses,
            seed=seed,
            training=training,
            reading=self.reading,
            sense=self.sense,
            compile_thought=self.compile_thought,
            copies=self.copies,
        )

    def classify(self, images):
        """Looks once at each image, by the same seed whatever the batch it is in.

        Returns:
            Dictionary: `probabilities` `(batch, classes)` after the last glimpse, and
            `locations` `(batch, glimpses, 2)`; of a network with a `zoom`, whose
            locations have 3 numbers, `scales` `(batch, glimpses)`. The looker makes no
            copies.
        """
        seed = random.make_seed(0)
        if self.network.is_random(self.policy):
            seed = tf.zeros((tf.shape(images)[0], 2), tf.int32)
        looked = self.look(self.prepare(images), seed)
        probabilities = tf.nn.softmax(looked.logits[:, -1])
        return {
            "probabilities": probabilities,
            "locations": looked.locations,
            **scales_of(self.network, looked.locations),
        }

    def by_copy(self, tensor):
        """Turns `(batch * copies, ...)` into `(batch, copies, ...)`."""
        return ops.reshape(tensor, (-1, self.copies, *tensor.shape[1:]))

    def average(self, tensor):
        """Turns `(batch * copies, ...)` into the mean of the copies, `(batch, ...)`."""
        return ops.mean(self.by_copy(tensor), axis=1)

    def may_stop(self, rule, belief, extras):
        """Whether looking may stop after each glimpse, by the mean of the copies.

        Args:
            rule: A `StopRule`.
            belief: Tensor `(batch, glimpses, classes)`, averaged probabilities.
            extras: Those of the rollout.

        Returns:
            Boolean tensor `(batch, steps)`, with a step for every glimpse or for every
            one but the last; `None` where there is nothing that the rule could read.
        """
        evidence = rule.evidence(extras)
        if evidence is None:
            return None
        evidence = self.average(evidence)
        return rule(belief[:, : evidence.shape[1]], evidence)
