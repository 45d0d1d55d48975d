"""Photographs of any sizes in memory, served as squares of one size."""

import functools

import numpy as np
import tensorflow as tf

from ram_tf.data.transforms import size_pair
from ram_tf.errors import InputError


class Photographs:
    """Photographs of any sizes, decoded once and kept as they are.

    Each is cut to its largest square and resized to `side` when a batch is made, in the
    graph. A model that looks at a part of the image at P pixels a side loses nothing
    where `side` is P divided by that part. Memory: their pixels, twice that while they
    are loaded.

    Args:
        photographs: Sequence of uint8 arrays `(h, w, C)`.
        side: Int, side of the squares in pixels.
        random: Boolean. Cut at a random place along the longer side, or at the centre.
    """

    def __init__(self, photographs, side, random=False):
        if len(photographs) == 0:
            raise InputError("there is no photograph.")
        side, _ = size_pair(side, "square")
        self.sizes = np.array([p.shape[:2] for p in photographs], np.int64)
        self.pixels = np.concatenate(
            [p.reshape(-1, p.shape[-1]) for p in photographs], axis=0
        )
        self.side = side
        self.random = random

    def __len__(self):
        return len(self.sizes)

    @property
    def num_draws(self):
        """How many uniform numbers each example needs."""
        return int(self.random)

    @property
    def image_shape(self):
        """(height, width, channels) of what `gather` returns."""
        return self.side, self.side, self.pixels.shape[-1]

    @functools.cached_property
    def _tensors(self):
        """Pixels, where each photograph begins, and its size; made once."""
        starts = np.cumsum([0, *self.sizes.prod(axis=1)])[:-1]
        with tf.init_scope(), tf.device("CPU:0"):
            tensors = tuple(map(tf.constant, (self.pixels, starts, self.sizes)))
            self.pixels = np.asarray(tensors[0])  # The same memory: one is enough.
        return tensors

    def load(self):
        """Makes the tensors outside of a graph."""
        return self._tensors

    def gather(self, examples, uniforms):
        """Returns squares of some photographs, in the graph.

        Args:
            examples: Integer tensor `(B,)`.
            uniforms: Float tensor `(B, num_draws)` in [0, 1).

        Returns:
            Tensor `(B, side, side, C)`, uint8.
        """
        pixels, starts, sizes = self._tensors
        places = tf.fill(tf.shape(examples), 0.5)
        if self.random:
            places = uniforms[:, 0]

        def square(drawn):
            start, size, place = drawn
            height, width = size[0], size[1]
            photograph = tf.reshape(
                pixels[start : start + height * width], (height, width, -1)
            )
            short = tf.minimum(height, width)
            # The middle of an even number of places is the first of the two.
            room = tf.cast(size - short + 1, tf.float32)
            first = tf.cast(tf.math.ceil(place * room), tf.int64) - 1
            row, column = tf.unstack(tf.maximum(first, 0))
            cut = photograph[row : row + short, column : column + short]
            resized = tf.image.resize(cut, (self.side, self.side), antialias=True)
            return tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)

        return tf.map_fn(
            square,
            (tf.gather(starts, examples), tf.gather(sizes, examples), places),
            fn_output_signature=tf.TensorSpec(self.image_shape, tf.uint8),
        )
