"""One glimpse at a time: the service of a sensor that can only be pointed."""

import keras
import tensorflow as tf
from keras import ops

from ram_tf import random
from ram_tf.models.rollout import first_choice, next_choice
from ram_tf.ops import clip_locations
from ram_tf.serving.answers import copy_key, gain_on_grid


class Steps:
    """Begins, takes glimpses in, and carries the state outside, as flat tensors.

    Args:
        network: A built `AttentionModel`.
        policy: Where to look.
        num_glimpses: Int.
        labels: `Labels`.
        rule: A `StopRule`, or `None`: it never says that looking may stop.
        channels: Int, of a glimpse.
    """

    def __init__(self, network, policy, num_glimpses, labels, rule, channels):
        self.network = network
        self.policy = policy
        self.num_glimpses = num_glimpses
        self.labels = labels
        self.rule = rule
        self.channels = channels

    def state_specs(self):
        """The state's names, and shapes and types without the batch dimension."""
        return {
            name: (value.shape[1:], value.dtype)
            for name, value in self._flat(self._first_state(1)).items()
        }

    def start(self, seed, overview=None):
        """Returns the state before the first glimpse, and where to take it."""
        state = self._first_state(tf.shape(seed)[0], overview)
        state["seed"] = seed
        choice, _ = self._first_choice(state["network"], copy_key(seed, 0))
        return {**self._flat(state), **self._where(choice)}

    def look(self, glimpse, location, *flat):
        """Takes a glimpse in; returns the belief, and where to look next."""
        network, state = self.network, self._unflat(flat)
        features = network.encode(
            network.normalize(glimpse)[:, None], location[:, None]
        )
        features = keras.tree.map_structure(lambda tensor: tensor[:, 0], features)
        after = network.integrate(features, location, state["network"])
        read = network.read(after["hidden"][:, None])
        probabilities = ops.softmax(read.pop("logits"))[:, 0]
        key, step = copy_key(state["seed"], 0), state["step"]
        _, plan = self._first_choice(after, key)
        seed = random.decision_seed(key, step, self.num_glimpses)
        choice = next_choice(network, self.policy, {}, after, plan, step, seed)
        state = {"network": after, "seed": state["seed"], "step": step + 1}
        read |= {name: value[:, None] for name, value in choice.extras.items()}
        return {
            **self.labels.predict(probabilities),
            **self._told(choice, probabilities, read),
            **self._flat(state),
            **self._where(choice),
        }

    def sense(self, images, location, seed):
        """A sensor over a whole image: the glimpse at a location, in [0, 1].

        With the pixels that it covers, see `AttentionModel.glimpse_boxes`, and the
        coarse view of the whole where `start` takes one. What a sensor adds of its own
        depends on the seed alone: on that of `classify_seeded`, as its first glimpse.
        """
        network = self.network
        noise = random.rollout_seeds(copy_key(seed, 0), self.num_glimpses).sense[0]
        glimpses = network.sense({"images": images}, location[:, None], seed=noise)
        sensed = {
            "glimpse": network.denormalize(glimpses[:, 0]),
            "boxes": network.glimpse_boxes(location, tuple(images.shape[1:3])),
        }
        if network.overview_shape is not None:
            sensed["overview"] = network.overview(images)
        return sensed

    def sensor(self, location, image_size):
        """What a sensor has to read at a location of an image of a size.

        Args:
            location: Float tensor `(batch, 2)`.
            image_size: Int32 tensor `(batch, 2)`, (height, width).

        Returns:
            Dictionary of tensors with a batch dimension: `boxes`, see
            `AttentionModel.glimpse_boxes`; `size`, side in pixels of what `look` takes
            of each box; `channels`; `outside`, what counts as outside of an image;
            `overview_size`, side of what `start` takes, 0 if it takes none.
        """
        retina, shape = self.network.retina, self.network.overview_shape
        everywhere = tf.zeros_like(location[:, 0])
        told = {
            "size": retina.size,
            "channels": self.channels,
            "overview_size": 0 if shape is None else shape[0],
        }
        told = {
            name: tf.cast(everywhere, tf.int32) + value for name, value in told.items()
        }
        return {
            **told,
            "outside": everywhere + retina.pixel_mean,
            "boxes": self.network.glimpse_boxes(location, image_size),
        }

    def _where(self, choice):
        """Where to look, and with a `zoom` how wide: `scale`, what sides are times."""
        location = clip_locations(choice.action)
        if self.network.zoom is None:
            return {"location": location}
        return {"location": location, "scale": self.network.scale_at(location)}

    def _told(self, choice, probabilities, read):
        """What was gained, and whether looking may stop, where something says so."""
        told = {}
        if "gain" in choice.extras:
            told["information_gain"] = gain_on_grid(self.network, choice.extras["gain"])
        # A rule that a network was given is told of where somebody asked for it alone.
        kind = type(self.network).stop_rule if self.rule is None else type(self.rule)
        evidence = None if kind is None else kind.evidence(read)
        if evidence is None:
            return told
        if self.rule is None:
            stop = tf.zeros(tf.shape(probabilities)[:-1], tf.bool)
        else:
            stop = self.rule(probabilities, evidence[:, 0])
        return {**told, "stop": stop}

    def _first_choice(self, state, key):
        """The first choice and the plan, see `first_choice`."""
        start = random.rollout_seeds(key, self.num_glimpses).start
        return first_choice(
            self.network, self.policy, {}, state, self.num_glimpses, start
        )

    def _first_state(self, batch_size, overview=None):
        if overview is None:
            shape = self.network.overview_shape or (1, 1, 1)
            overview = tf.zeros((batch_size, *shape))
        context = self.network.first_context(overview)
        return {
            "network": self.network.initial_state(context),
            "seed": tf.zeros((batch_size,), tf.int64),
            "step": tf.zeros((batch_size,), tf.int32),
        }

    def _flat(self, state):
        """The state as a flat dictionary of tensors."""
        return {
            "_".join(["state", *map(str, path)]): value
            for path, value in keras.tree.flatten_with_path(state)
        }

    def _unflat(self, flat):
        """The state of the tensors of `_flat`, in its order."""
        return keras.tree.pack_sequence_as(self._first_state(1), list(flat))
