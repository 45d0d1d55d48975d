"""Random changes to a batch of images, drawn from (seed, epoch, example) alone.

A transform is an object with

- `num_draws`: how many uniform numbers it needs for each example;
- `output_shape(height, width, channels)`: the shape of an image afterwards;
- `__call__(images, uniforms)`: images `(B, h, w, C)` and uniforms
  `(B, num_draws)` in [0, 1) to images, in the graph.

It owns no randomness: the same uniforms give the same images.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from ram_tf.errors import InputError

_GOLDEN = 0x9E3779B97F4A7C15


def example_uniforms(seed, epoch, examples, num_draws):
    """Draws uniform numbers for each example, whatever batch it is in.

    A counter-based generator: the splitmix64 finaliser hashes the seed, then folds in
    the epoch, the example and the number of the draw, one after the other.

    Args:
        seed: Python integer; its low 64 bits count.
        epoch: Integer or scalar integer tensor.
        examples: Integer tensor `(B,)`, positions of the examples in their split.
        num_draws: Integer, how many numbers each example gets.

    Returns:
        Tensor `(B, num_draws)`, float32, multiples of 2^-24 in [0, 1).
    """
    key = _mix(tf.constant(seed % 2**64, tf.uint64))
    key = _mix(_fold(key, epoch))
    keys = _mix(_fold(key, examples))
    bits = _mix(_fold(keys[:, None], tf.range(num_draws, dtype=tf.int64)))
    high = tf.bitwise.right_shift(bits, tf.constant(40, tf.uint64))
    return tf.cast(tf.cast(high, tf.int32), tf.float32) * 2.0**-24


def _fold(key, counter):
    return key + (tf.cast(counter, tf.uint64) + 1) * tf.constant(_GOLDEN, tf.uint64)


def _mix(bits):
    """Applies the finaliser of splitmix64 to a uint64 tensor."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = tf.bitwise.bitwise_xor(
            bits, tf.bitwise.right_shift(bits, tf.constant(shift, tf.uint64))
        )
        bits *= tf.constant(factor, tf.uint64)
    return tf.bitwise.bitwise_xor(
        bits, tf.bitwise.right_shift(bits, tf.constant(31, tf.uint64))
    )


def num_uniforms(transforms):
    """Returns how many uniform numbers an example needs for all `transforms`."""
    return sum(transform.num_draws for transform in transforms)


def apply_transforms(transforms, images, uniforms):
    """Applies `transforms` in order, each with its own slice of `uniforms`.

    Args:
        transforms: Sequence of transforms.
        images: Tensor `(B, h, w, C)`.
        uniforms: Tensor `(B, num_uniforms(transforms))` in [0, 1).

    Returns:
        Tensor `(B, H, W, C)`.
    """
    start = 0
    for transform in transforms:
        stop = start + transform.num_draws
        images = transform(images, uniforms[:, start:stop])
        start = stop
    return images


@dataclasses.dataclass(frozen=True)
class Translate:
    """Drops each image at a random integer place on a black canvas.

    All places where the image lies wholly on the canvas are equally likely.

    Args:
        height: Integer, height of the canvas in pixels.
        width: Integer, width of the canvas in pixels.
    """

    height: int
    width: int
    num_draws = 2

    def output_shape(self, height, width, channels):
        if height > self.height or width > self.width:
            raise InputError(
                f"The canvas of {self.height} x {self.width} pixels is smaller than "
                f"the images, {height} x {width}. Make `data.canvas` at least as large."
            )
        return self.height, self.width, channels

    def __call__(self, images, uniforms):
        height, width = images.shape[1:3]
        rows = _source(uniforms[:, 0], height, self.height)
        columns = _source(uniforms[:, 1], width, self.width)
        # One black row and column behind the image: what lies outside it reads those.
        images = tf.pad(images, [[0, 0], [0, 1], [0, 1], [0, 0]])
        # Columns are gathered as rows of the transposed image: whole rows at a time is
        # five times faster than pixel by pixel.
        images = tf.transpose(images, [0, 2, 1, 3])
        images = tf.gather(images, columns, axis=1, batch_dims=1)
        images = tf.transpose(images, [0, 2, 1, 3])
        return tf.gather(images, rows, axis=1, batch_dims=1)


def _source(uniforms, size, canvas):
    """Returns `(B, canvas)`: the image's index at each canvas index, `size` outside."""
    start = tf.cast(uniforms * (canvas - size + 1), tf.int32)  # floor: positive
    index = tf.range(canvas)[None] - start[:, None]
    return tf.where((index >= 0) & (index < size), index, size)


def size_pair(value, option):
    """Returns `value`, an integer or (height, width), as a pair of integers.

    Args:
        value: What the user gave.
        option: Name of the option, for the error.
    """
    pair = (value, value) if isinstance(value, (int, np.integer)) else value
    valid = isinstance(pair, (tuple, list)) and len(pair) == 2
    if not valid or not all(isinstance(v, (int, np.integer)) and v > 0 for v in pair):
        raise InputError(
            f"`data.{option}` must be a positive integer or (height, width). "
            f"Received: {value!r}."
        )
    return int(pair[0]), int(pair[1])
