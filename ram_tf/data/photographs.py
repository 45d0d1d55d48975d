"""Photographs of any sizes, served as squares of one size."""

import functools

import numpy as np
import tensorflow as tf

from ram_tf.data.store import Kept
from ram_tf.data.tensors import as_constant
from ram_tf.data.transforms import size_pair
from ram_tf.errors import InputError


class Photographs:
    """Photographs of any sizes, decoded once and kept as they are.

    A square is cut from each and resized to `side` when a batch is made, in the graph.
    A model that looks at a part of the image at P pixels a side loses nothing where
    `side` is P divided by that part. Memory: their pixels, twice that while they are
    loaded; what is `Kept` in a file stays there.

    Args:
        photographs: Sequence of uint8 arrays `(h, w, C)`, or `Kept`.
        side: Int, side of the squares in pixels.
        random: Boolean. Cut at a random place, or the largest square at the centre.
        smallest: Float in (0, 1]. A random square's side is drawn from this share of
            the shorter side up to all of it.
    """

    def __init__(self, photographs, side, random=False, smallest=1.0):
        if len(photographs) == 0:
            raise InputError("there is no photograph.")
        side, _ = size_pair(side, "square")
        if not 0 < smallest <= 1:
            raise InputError(
                "`data.smallest_square` must be a share above 0 and up to 1. Received: "
                f"{smallest}."
            )
        if not isinstance(photographs, Kept):
            photographs = _one_after_the_other(photographs)
        self.pixels, self.sizes = photographs.pixels, photographs.sizes
        self.starts, self._lock = photographs.starts, photographs.lock
        self.side = side
        self.random = random
        self.smallest = smallest

    def __len__(self):
        return len(self.sizes)

    @property
    def num_draws(self):
        """How many uniform numbers each example needs."""
        return 3 if self.random else 0

    @property
    def image_shape(self):
        """(height, width, channels) of what `gather` returns."""
        return self.side, self.side, self.pixels.shape[-1]

    @functools.cached_property
    def _tensors(self):
        """Pixels, where each photograph begins, and its size; made once."""
        tensors = tuple(map(as_constant, (self.pixels, self.starts, self.sizes)))
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
        places = tf.fill((tf.shape(examples)[0], 2), 0.5)
        shares = tf.ones_like(places[:, 0])
        if self.random:
            places = uniforms[:, :2]
            shares -= (1 - self.smallest) * uniforms[:, 2]

        def square(drawn):
            start, size, place, share = drawn
            height, width = size[0], size[1]
            photograph = tf.reshape(
                pixels[start : start + height * width], (height, width, -1)
            )
            short = tf.cast(tf.minimum(height, width), tf.float32)
            side = tf.cast(tf.math.ceil(share * short), tf.int64)
            # The middle of an even number of places is the first of the two.
            room = tf.cast(size - side + 1, tf.float32)
            first = tf.cast(tf.math.ceil(place * room), tf.int64) - 1
            row, column = tf.unstack(tf.maximum(first, 0))
            cut = photograph[row : row + side, column : column + side]
            resized = tf.image.resize(cut, (self.side, self.side), antialias=True)
            return tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)

        return tf.map_fn(
            square,
            (tf.gather(starts, examples), tf.gather(sizes, examples), places, shares),
            fn_output_signature=tf.TensorSpec(self.image_shape, tf.uint8),
        )


def _one_after_the_other(photographs):
    """Returns photographs in memory in the form of those in a file."""
    sizes = np.array([p.shape[:2] for p in photographs], np.int64)
    counts = sizes.prod(axis=1)
    pixels = [p.reshape(-1, p.shape[-1]) for p in photographs]
    return Kept(np.concatenate(pixels, axis=0), np.cumsum(counts) - counts, sizes)
