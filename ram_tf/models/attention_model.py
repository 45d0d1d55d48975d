import contextlib
import functools

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ram_tf import random
from ram_tf.errors import InputError
from ram_tf.models.from_preset import FromPreset
from ram_tf.models.looker import Looker
from ram_tf.models.stop_rules import check_number
from ram_tf.models.window_sensor import WindowSensor
from ram_tf.ops import box_extremes, patch_starts
from ram_tf.pixels import check_pixels

# How a network comes by a rule that has none of its own.
_LEARNED = " (RAM learns one, promise, where phases.train.returns is gain or log_gain)"


class AttentionModel(FromPreset, keras.Model):
    """What a family provides, so that one loop can run them all.

    A subclass says how to sense, encode, integrate and read; where to look is a policy
    and is passed in. `build` takes the shape of the images and creates every weight.

    Attributes:
        num_classes: Int.
        glimpse_sides: Tuple of ints, sides in pixels of what one glimpse sees, finest
            scale first.
        senses_noise: Boolean. Whether `sense` draws random numbers.
        recorded: Names of entries of the state, beside `hidden`, that a rollout keeps.
        overview_shape: `(height, width, channels)` of a coarse view of the whole image
            that is needed before the first glimpse, or `None`.
        parts: Names of constructor arguments that are layers, for serialisation.
        zoom: (smallest, largest) scale of a glimpse, where it is decided with the
            place, or `None`. A location has a third coordinate then, see `Retina`.
        stop_rule: A `StopRule` class, or `None` where nothing says when to stop; a
            network may be given one that reads what it was trained for.
        sensor: A `WindowSensor`, see `look_into`, or `None`.

    Call arguments:
        images: Tensor `(batch, height, width, channels)`, float in [0, 1] or uint8; or
            positions, see `look_into`.
        policy: Where to look, see `ram_tf.policies`. By keyword alone, as what is no
            tensor is for Keras: `model(images, policy=policy, num_glimpses=6)`.
        num_glimpses: Int >= 1.
        training: Boolean.
        seed: Int32 tensor `(2,)` or `None` for a fixed one.

    Returns:
        A `Rollout`.
    """

    glimpse_sides = ()
    senses_noise = False
    recorded = ()
    overview_shape = None
    parts = ()
    zoom = None
    stop_rule = None
    sensor = None

    def check_windows(self):
        """Raises an `InputError` if it cannot look at images read in windows."""
        raise InputError(
            f"{type(self).__name__} cannot look at images that are read in windows: it "
            "needs to know their size. The families ram, active_ram, dram and mram can."
        )

    def look_into(self, windows, skip_unreadable=False):
        """Looks at images that are read in windows from now on.

        `images` are their positions then, int `(batch,)`. To be called before anything
        is made that looks.

        Args:
            windows: `data.windows.Windows`, or `None`: images are images again.
            skip_unreadable: Boolean, see `WindowSensor`.

        Raises:
            InputError: If the network cannot.
        """
        if windows is None:
            self.sensor = None
            return
        self.check_windows()
        self.sensor = WindowSensor(windows, skip_unreadable)

    def naming_failures(self):
        """A context that raises what reading windows raised in the graph, as it was."""
        if self.sensor is None:
            return contextlib.nullcontext()
        return self.sensor.naming_failures()

    def image_sizes(self, images):
        """What `glimpse_boxes` takes as `image_size` of a batch of images."""
        if self.sensor is None:
            return tuple(images.shape[1:3])
        return self.sensor.sizes(images)[:, None]

    def finest_extremes(self, images, locations):
        """Finds the darkest and the brightest in the finest box of each glimpse.

        Args:
            images: Tensor of images, or of positions in windows.
            locations: Float tensor `(batch, num, num_coordinates)`.

        Returns:
            Two float32 tensors `(batch, num, channels)` in [0, 1], of what lies inside
            of the image. Of windows it is as coarse as a glimpse.
        """
        if self.sensor is None:
            boxes = self.glimpse_boxes(locations, self.image_sizes(images))
            return box_extremes(images, boxes[..., 0, :], self.finest_side)
        side, *_ = self.glimpse_sides
        patches, inside = (
            each[:, :, 0]
            for each in self.sensor.glimpses(
                images, locations, (side,), min(side, self.retina.size)
            )
        )
        whole = inside >= 1.0
        return (
            ops.min(ops.where(whole, patches, 1.0), axis=(2, 3)),
            ops.max(ops.where(whole, patches, 0.0), axis=(2, 3)),
        )

    @property
    def num_coordinates(self):
        """How many numbers a location has, all in [-1, 1]."""
        return 2 if self.zoom is None else 3

    @property
    def finest_side(self):
        """Side in pixels of the finest box, or `None` where that is decided."""
        return self.glimpse_sides[0] if self.zoom is None else None

    def scale_at(self, locations):
        """The scale of glimpses at locations `(..., 3)`, in a model with a `zoom`."""
        raise NotImplementedError

    def prepare(self, images, training=False):
        """Computes what is needed once an image. Runs outside compiled steps.

        Returns:
            Dictionary of tensors whose leading dimension is the batch.
        """
        return {"images": images}

    def overview(self, images):
        """The coarse view of whole images, `(batch, *overview_shape)` in [0, 1]."""
        raise NotImplementedError

    def first_context(self, overview):
        """The context of a sensor that can only be pointed, and has seen no more."""
        return {"images": overview}

    def check_glimpses(self, num_glimpses):
        """Raises an `InputError` if an image cannot be looked at so often."""
        if num_glimpses < 1:
            raise InputError(f"at least one glimpse is needed, got {num_glimpses}.")

    def begin(self, context, num_glimpses):
        """Adds what serves all glimpses of one rollout. Runs inside compiled steps."""
        return context

    def initial_state(self, context):
        """Returns the state before the first glimpse: a dictionary with `hidden`."""
        raise NotImplementedError

    def sense(self, context, locations, seed=None):
        """Cuts glimpses, `(batch, num, ...)`, at locations `(batch, num, 2)`."""
        raise NotImplementedError

    @functools.cached_property
    def compiled_sense(self):
        """`sense` under XLA by itself, for a rollout that is not.

        Op by op, cutting glimpses takes four times as long on a CPU.
        """
        return tf.function(self.sense, jit_compile=True, autograph=False)

    def normalize(self, pixels):
        """Turns what a sensor delivers, in [0, 1], into glimpses as `sense` cuts."""
        raise NotImplementedError

    def denormalize(self, glimpses):
        """Undoes `normalize`."""
        raise NotImplementedError

    def describe_sensor(self):
        """How a sensor makes, from what is there, what `sense` cuts from an image.

        Returns:
            Dictionary of plain values: `how`, sentences, and the numbers they name.
        """
        raise NotImplementedError

    def encode(self, glimpses, locations, training=False):
        """Turns glimpses into features `(batch, num, ...)`, a tensor or a structure."""
        raise NotImplementedError

    def integrate(self, features, location, state, training=False):
        """Takes one glimpse's features `(batch, ...)` into the state."""
        raise NotImplementedError

    def decide(self, state, sample, seed=None):
        """Asks the location head where to look next, in a model that has one.

        Args:
            state: What `initial_state` or `integrate` returned.
            sample: Boolean. Draw from its distribution, or take the mean.
            seed: Int32 tensor `(2,)`, for what is drawn.

        Returns:
            location: `(batch, num_coordinates)`, (x, y) or (x, y, z), before clipping
                to the image.
            log_prob: `(batch,)`, log-density of `location`, in nats.
        """
        return self.location(state["hidden"], training=sample, seed=seed)

    def aim(self, state):
        """What `decide` draws around, as its `location`, with its gradient."""
        return self.location.aim(state["hidden"])

    def read(self, hidden, training=False, seed=None, **options):
        """Reads hidden states `(batch, time, units)`.

        Args:
            hidden: Tensor `(batch, time, units)`.
            training: Boolean.
            seed: Int32 tensor `(2,)`, for what is drawn.
            **options: What a phase asks for beside the usual.

        Returns:
            Dictionary of `(batch, time, ...)` tensors with at least `logits`.
        """
        raise NotImplementedError

    def is_random(self, policy):
        """Whether looking by this policy draws random numbers."""
        return self.senses_noise or not policy.deterministic

    def make_stop_rule(self, epsilon):
        """Returns the family's `StopRule` of this number.

        Raises:
            InputError: If the family has none.
        """
        if self.stop_rule is None:
            raise InputError(
                f"nothing in {type(self).__name__} says when to stop looking: leave "
                f"--stop_epsilon out{_LEARNED}."
            )
        return self.stop_rule(epsilon)

    def stop_number(self, stop):
        """Reads how sure is sure enough: a number, or `NAME:NUMBER` of its rule.

        Raises:
            InputError: If there is no number, or the family's rule has another name.
        """
        name, colon, number = str(stop).rpartition(":")
        if colon and (self.stop_rule is None or name != self.stop_rule.name):
            rule = self.stop_rule
            own = f"none{_LEARNED}" if rule is None else repr(rule.name)
            raise InputError(
                f"{type(self).__name__} has no stop rule {name!r}: expected {own}."
            )
        try:
            epsilon = float(number)
        except ValueError:
            raise InputError(
                f"a stop rule takes a number, as settled:2, got {stop!r}."
            ) from None
        check_number(epsilon)
        return epsilon

    def without_gradients(self, num_images, num_glimpses):
        """Computes what a training step computes forward alone, for counting its cost.

        Args:
            num_images: Int.
            num_glimpses: Int, of each image in all its copies.

        Returns:
            Any tensors, or `None` where gradients pass through all of it.
        """
        return None

    def load_pretrained(self, source):
        """Loads weights that were not trained here, from `source`, a name or a path."""
        raise InputError(
            f"there are no weights to start from in {source}: expected a workdir, or a "
            "folder of a checkpoint in one."
        )

    def initialize(self, images, policy, num_glimpses, seed):
        """Initialises what depends on data, once, from a first batch of images."""

    def glimpse_boxes(self, locations, image_size):
        """Returns the pixels that glimpses cover.

        Args:
            locations: `(..., num_coordinates)`, (x, y) or (x, y, z) in [-1, 1].
            image_size: Tuple `(height, width)`; or, where images differ, int tensor
                `(..., 2)` of them that broadcasts.

        Returns:
            Int tensor `(..., scales, 4)`: top, left, bottom, right; the last two are
            exclusive, and all may lie outside the image.
        """
        boxes = []
        for side in self.glimpse_sides:
            start = patch_starts(locations, side, image_size)
            boxes.append(ops.concatenate([start, start + side], axis=-1))
        return ops.stack(boxes, axis=-2)

    def call(self, images, policy, num_glimpses, training=False, seed=None):
        pixels = self.sensor is None
        if (
            pixels
            and tf.executing_eagerly()
            and not isinstance(images, keras.KerasTensor)
        ):
            check_pixels(np.asarray(images))
        looker = Looker(self, policy, num_glimpses, xla=False, xla_sense=False)
        seed = random.make_seed(0) if seed is None else seed
        with self.naming_failures():
            return looker.look(looker.prepare(images, training), seed, training)

    def get_config(self):
        serialized = {
            name: keras.saving.serialize_keras_object(getattr(self, name))
            for name in self.parts
        }
        return {**super().get_config(), **serialized}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        restored = {
            name: keras.saving.deserialize_keras_object(value, custom_objects)
            if name in cls.parts
            else value
            for name, value in config.items()
        }
        return cls(**restored)
