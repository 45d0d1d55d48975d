"""Looking at each image only as long as it takes."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ram_tf import random
from ram_tf.errors import InputError
from ram_tf.models.capabilities import check_capabilities
from ram_tf.models.outputs import scales_of
from ram_tf.models.rollout import first_choice, next_choice, take_glimpse
from ram_tf.ops import clip_locations
from ram_tf.pixels import check_pixels


class DynamicLooker:
    """Stops looking at an image once the network is sure enough, and computes no more.

    After each glimpse the images that may stop leave the batch, so that time follows
    the mean number of glimpses. An image's answer depends on nothing else in the batch.

    XLA compiles for one size of the batch, some seconds each: under it the batch is
    halved whenever half of it is enough, and the places that are left in it repeat an
    image. Without XLA every image that stops leaves at once.

    Args:
        network: A built `AttentionModel`.
        policy: Where to look.
        num_glimpses: Int. The most glimpses of one image.
        rule: A `StopRule`.
        xla: Boolean. Compile with XLA: for many batches of one size.
    """

    def __init__(self, network, policy, num_glimpses, rule, xla=False):
        network.check_glimpses(num_glimpses)
        check_capabilities(network, policy)
        self.network = network
        self.policy = policy
        self.num_glimpses = num_glimpses
        self.rule = rule
        if xla and network.sensor is not None:
            raise InputError(
                "XLA cannot compile what reads in windows and stops: leave --xla out."
            )
        self.xla = xla
        self._begin = _Traced(self._first, xla)
        self._step = _Traced(self._look, xla)
        self._last = _Traced(self._look_last, xla)
        self._keep = _Traced(_keep)

    def __call__(self, images, seeds=None):
        """Looks at a batch of images.

        Args:
            images: Tensor `(batch, height, width, channels)`, float in [0, 1] or uint8.
            seeds: Int array `(batch, 2)`, one for each image, or `None`: all alike.

        Returns:
            Dictionary of arrays: `probabilities` `(batch, classes)` when it stopped;
            `num_glimpses` `(batch,)`; `locations` `(batch, T, 2)`, NaN where it did not
            look any more; of a network with a `zoom`, `scales` `(batch, T)`.

        Raises:
            InputError: If the rule has nothing to read, or these are no pixels.
        """
        if self.network.sensor is None:
            check_pixels(np.asarray(images))
        with self.network.naming_failures():
            return self._look_at(tf.convert_to_tensor(images), seeds)

    def _look_at(self, images, seeds):
        batch_size = len(images)
        if not self.network.is_random(self.policy):
            seeds = None  # One an image would cost time.
        elif seeds is None:
            seeds = np.zeros((batch_size, 2))
        going = np.arange(batch_size)
        rows = np.arange(batch_size)  # Where in the batch those that go on are.
        size = batch_size
        probabilities = np.zeros((batch_size, self.network.num_classes), "float32")
        taken = np.zeros(batch_size, "int64")
        locations = np.full(
            (batch_size, self.num_glimpses, self.network.num_coordinates),
            np.nan,
            "float32",
        )
        context = self.network.prepare(images)
        carried = self._begin(
            context, None if seeds is None else tf.cast(seeds, "int32")
        )
        for step in range(self.num_glimpses):
            look = self._last if step == self.num_glimpses - 1 else self._step
            belief, stops, where, changed = look(carried, tf.constant(step))
            carried = {**carried, **changed}
            locations[going, step] = np.asarray(where)[rows]
            stopped = np.asarray(stops)[rows]
            probabilities[going[stopped]] = np.asarray(belief)[rows[stopped]]
            taken[going[stopped]] = step + 1
            if stopped.all():
                break
            going, rows = going[~stopped], rows[~stopped]
            smaller = self._size_for(len(going), size)
            if smaller < size:
                size = smaller
                filled = np.resize(rows, size)  # Repeats them.
                carried = self._keep(carried, tf.constant(filled))
                rows = np.arange(len(going))
        return {
            "probabilities": probabilities,
            "num_glimpses": taken,
            "locations": locations,
            **scales_of(self.network, locations),
        }

    def _size_for(self, count, size):
        """The size of the batch that `count` images need, of `size` or less."""
        if not self.xla:
            return count
        while (size + 1) // 2 >= count and size > 1:
            size = (size + 1) // 2
        return size

    def _first(self, context, seeds):
        network, num_glimpses = self.network, self.num_glimpses
        context = network.begin(context, num_glimpses)
        state = network.initial_state(context)
        seed = random.rollout_seeds(_or_any(seeds), num_glimpses).start
        start, plan = first_choice(
            network, self.policy, context, state, num_glimpses, seed
        )
        return {
            "context": context,
            "state": state,
            "action": start.action,
            "plan": plan,
            "seeds": seeds,
        }

    def _look(self, carried, step):
        """Looks and decides: belief, whether to stop, where it looked, what changed."""
        belief, location, state, read, seeds = self._see(carried, step)
        network, context = self.network, carried["context"]
        choice = next_choice(
            network, self.policy, context, state, carried["plan"], step, seeds.decide
        )
        read |= {name: value[:, None] for name, value in choice.extras.items()}
        evidence = self.rule.evidence(read)
        if evidence is None:
            raise InputError(
                f"{type(network).__name__} and {type(self.policy).__name__} say "
                f"nothing of when to stop that {self.rule} could read."
            )
        stops = self.rule(belief, evidence[:, 0])
        return belief, stops, location, {"state": state, "action": choice.action}

    def _look_last(self, carried, step):
        belief, location, *_ = self._see(carried, step)
        return belief, ops.ones_like(belief[:, 0], dtype="bool"), location, {}

    def _see(self, carried, step):
        seeds = random.glimpse_seeds(_or_any(carried["seeds"]), step, self.num_glimpses)
        location = clip_locations(carried["action"])
        state = take_glimpse(
            self.network, carried["context"], location, carried["state"], seeds.sense
        )
        read = self.network.read(state["hidden"][:, None])
        belief = ops.softmax(read.pop("logits"))[:, 0]
        return belief, location, state, read, seeds


class _Traced:
    """A `tf.function` traced once for batches of all sizes, or for each under XLA."""

    def __init__(self, function, xla=False):
        self._function = tf.function(function, autograph=False, jit_compile=xla)
        self._any_size = not xla
        self._traced = {}

    def __call__(self, *arguments):
        # Looking a trace up in the `tf.function` takes longer than a small step.
        key = tuple(
            None if leaf is None else (self._shape(leaf), leaf.dtype)
            for leaf in keras.tree.flatten(arguments)
        )
        if key not in self._traced:
            specs = keras.tree.map_structure(self._spec, arguments)
            self._traced[key] = self._function.get_concrete_function(*specs)
        return self._traced[key](*arguments)

    def _shape(self, tensor):
        shape = tuple(tensor.shape)
        return (None, *shape[1:]) if shape and self._any_size else shape

    def _spec(self, tensor):
        if tensor is None:
            return None
        return tf.TensorSpec(self._shape(tensor), tensor.dtype)


def _or_any(seeds):
    return random.make_seed(0) if seeds is None else seeds


def _keep(carried, rows):
    return keras.tree.map_structure(
        lambda tensor: None if tensor is None else tf.gather(tensor, rows), carried
    )
