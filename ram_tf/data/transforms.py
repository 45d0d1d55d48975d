"""Random changes to a batch of images, drawn from (seed, epoch, example) alone.

A transform is an object with

- `num_draws`: how many uniform numbers it needs for each example;
- `output_shape(height, width, channels)`: the shape of an image afterwards;
- `__call__(images, uniforms)`: images `(B, h, w, C)` and uniforms
  `(B, num_draws)` in [0, 1) to images, in the graph.

It owns no randomness: the same uniforms give the same images.
"""

import dataclasses
import functools

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
        rows, columns = self._starts(uniforms, height, width)
        rows = _source(rows, height, self.height)
        columns = _source(columns, width, self.width)
        # One black row and column behind the image: what lies outside it reads those.
        images = tf.pad(images, [[0, 0], [0, 1], [0, 1], [0, 0]])
        # Columns are gathered as rows of the transposed image: whole rows at a time is
        # five times faster than pixel by pixel.
        images = tf.transpose(images, [0, 2, 1, 3])
        images = tf.gather(images, columns, axis=1, batch_dims=1)
        images = tf.transpose(images, [0, 2, 1, 3])
        return tf.gather(images, rows, axis=1, batch_dims=1)

    def places(self, uniforms, height, width):
        """Where the middles of images of this size are dropped by these uniforms.

        Returns:
            Float32 tensor `(B, 2)`, (x, y) in [-1, 1] on the canvas.
        """
        rows, columns = self._starts(uniforms, height, width)
        sides = ((columns, width, self.width), (rows, height, self.height))
        return tf.stack(
            [
                tf.cast(2 * start + size, tf.float32) / canvas - 1
                for start, size, canvas in sides
            ],
            axis=-1,
        )

    def _starts(self, uniforms, height, width):
        """The row and the column of the first pixel, `(B,)` each."""
        return (
            tf.cast(uniforms[:, draw] * (canvas - size + 1), tf.int32)  # floor
            for draw, size, canvas in (
                (0, height, self.height),
                (1, width, self.width),
            )
        )


def _source(start, size, canvas):
    """Returns `(B, canvas)`: the image's index at each canvas index, `size` outside."""
    index = tf.range(canvas)[None] - start[:, None]
    return tf.where((index >= 0) & (index < size), index, size)


@dataclasses.dataclass(frozen=True)
class TranslateAndScale:
    """Drops each image at a random place on a black canvas, at a random size.

    The side that an image is brought to is drawn log-uniformly, whole pixels; then all
    places where it lies wholly on the canvas are equally likely. A pixel of the canvas
    is the mean of what of the image lies on it.

    Args:
        height: Integer, height of the canvas in pixels.
        width: Integer, width of the canvas in pixels.
        smallest: Integer, the smallest side.
        largest: Integer, the largest side.
    """

    height: int
    width: int
    smallest: int
    largest: int
    num_draws = 3

    def __post_init__(self):
        if not 1 <= self.smallest <= self.largest <= min(self.height, self.width):
            raise InputError(
                "Sizes need 1 <= smallest <= largest <= the canvas. Received: "
                f"smallest {self.smallest}, largest {self.largest}, a canvas of "
                f"{self.height} x {self.width}."
            )

    def output_shape(self, height, width, channels):
        if height != width:
            raise InputError(
                f"Images must be square to have one side. Received: {height} x {width}."
            )
        return self.height, self.width, channels

    def sides(self, uniforms):
        """The sides that images are brought to by these uniforms, integer `(B,)`."""
        ratio = (self.largest + 1) / self.smallest
        side = self.smallest * tf.exp(uniforms[:, 2] * np.float32(np.log(ratio)))
        return tf.minimum(tf.cast(side, tf.int32), self.largest)  # floor

    def __call__(self, images, uniforms):
        sides = self.sides(uniforms)
        pixels = tf.cast(images, tf.float32)
        rows, columns = (
            _covered(uniforms[:, draw], sides, images.shape[1 + draw], canvas)
            for draw, canvas in ((0, self.height), (1, self.width))
        )
        placed = tf.einsum("bph,bhwc,bqw->bpqc", rows, pixels, columns)
        return _as_type(placed, images.dtype)


def _covered(uniforms, sides, size, canvas):
    """The weight of an axis' pixels in each of the canvas, `(B, canvas, size)`."""
    places = tf.cast(canvas - sides + 1, tf.float32)
    start = tf.floor(uniforms * places)[:, None]
    pitch = size / tf.cast(sides, tf.float32)[:, None]  # In pixels of the image.
    first = (tf.range(canvas, dtype=tf.float32) - start) * pitch
    pixel = tf.range(size, dtype=tf.float32)
    last = tf.minimum((first + pitch)[..., None], pixel + 1)
    overlap = last - tf.maximum(first[..., None], pixel)
    return tf.maximum(overlap, 0.0) / pitch[..., None]


@dataclasses.dataclass(frozen=True, eq=False)
class Clutter:
    """Strews pieces of other images over each image, the brighter pixel winning.

    A piece is cut at a random place of an image drawn at random, and lands at a random
    place wholly inside the image. All places and images are equally likely.

    Args:
        sources: Array `(n, h, w, C)`, the images that pieces are cut from.
        num_pieces: Integer >= 0, pieces for each image.
        size: Integer, side of a piece in pixels.

    Reference:
        [Mnih et al., 2014](https://arxiv.org/abs/1406.6247), section 4.1.
    """

    sources: np.ndarray
    num_pieces: int = 4
    size: int = 8

    def __post_init__(self):
        if self.num_pieces < 0 or not 1 <= self.size <= min(self.sources.shape[1:3]):
            raise InputError(
                "Clutter needs num_pieces >= 0 and a piece_size from 1 to the side of "
                f"its sources, {min(self.sources.shape[1:3])} pixels. Received: "
                f"{self.num_pieces}, {self.size}."
            )

    @property
    def num_draws(self):
        return 5 * self.num_pieces

    def output_shape(self, height, width, channels):
        if self.size > min(height, width):
            raise InputError(
                f"Pieces of {self.size} pixels do not fit on images of {height} x "
                f"{width}. Lower `data.piece_size`."
            )
        return height, width, channels

    @functools.cached_property
    def _tensor(self):
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.constant(self.sources)

    def __call__(self, images, uniforms):
        if not self.num_pieces:
            return images
        count, *source_sides = self.sources.shape[:3]
        sides = (*source_sides, *images.shape[1:3])
        choices = tf.constant([count, *(side - self.size + 1 for side in sides)])
        draws = tf.reshape(uniforms, (-1, self.num_pieces, 5))
        chosen = tf.cast(draws * tf.cast(choices, tf.float32), tf.int32)  # floor
        source, cut, put = chosen[..., 0], chosen[..., 1:3], chosen[..., 3:]
        image = tf.range(tf.shape(images)[0])[:, None]
        pieces = tf.gather(_rows(self._tensor), self._pixels(self._tensor, source, cut))
        places = self._pixels(images, image, put)[..., None]
        strewn = tf.tensor_scatter_nd_max(_rows(images), places, pieces)
        return tf.reshape(strewn, tf.shape(images))

    def _pixels(self, images, image, start):
        """Where in `_rows(images)` the pixels of pieces are, `(B, pieces, s, s)`."""
        height, width = images.shape[1:3]
        image, start = tf.cast(image, tf.int64), tf.cast(start, tf.int64)
        first = (image * height + start[..., 0]) * width + start[..., 1]
        span = tf.range(self.size, dtype=tf.int64)
        return first[..., None, None] + (span[:, None] * width + span)


def _rows(images):
    """Returns `(pixels, channels)`."""
    return tf.reshape(images, (-1, images.shape[-1]))


@dataclasses.dataclass(frozen=True)
class RandomResizedCrop:
    """Enlarges a random crop of each image to the size of the image, bilinearly.

    As torchvision's, but for one thing: where that draws area and aspect ratio again
    until the crop fits, this draws the ratio from those that fit the area drawn.

    Args:
        min_area: Float in (0, 1], smallest share of the image's area.
        max_area: Float in [min_area, 1], largest share. Shares are equally likely.
        max_stretch: Float >= 1. The crop's ratio of width to height, over the image's,
            lies between 1 / max_stretch and max_stretch, log-uniformly.
    """

    min_area: float = 0.75
    max_area: float = 1.0
    max_stretch: float = 4 / 3
    num_draws = 4

    def __post_init__(self):
        if not 0 < self.min_area <= self.max_area <= 1 or not self.max_stretch >= 1:
            raise InputError(
                "A crop needs 0 < min_area <= max_area <= 1 <= max_stretch. Received: "
                f"{self.min_area}, {self.max_area}, {self.max_stretch}."
            )

    def output_shape(self, height, width, channels):
        return height, width, channels

    def _boxes(self, uniforms, height, width):
        """Returns (tops, heights), (lefts, widths), in pixels, integer `(B,)` each."""
        area = self.min_area + (self.max_area - self.min_area) * uniforms[:, 0]
        limit = tf.minimum(tf.math.log(self.max_stretch), -tf.math.log(area))
        stretch = tf.exp((2 * uniforms[:, 1] - 1) * limit)

        def side(share, size, uniform):
            length = tf.round(tf.minimum(share, 1.0) * size)
            length = tf.maximum(tf.cast(length, tf.int32), 1)
            places = tf.cast(size - length + 1, tf.float32)
            return tf.cast(uniform * places, tf.int32), length  # floor: positive

        rows = side(tf.sqrt(area / stretch), height, uniforms[:, 2])
        return rows, side(tf.sqrt(area * stretch), width, uniforms[:, 3])

    def __call__(self, images, uniforms):
        height, width = images.shape[1:3]
        rows, columns = self._boxes(uniforms, height, width)
        result = _enlarge_rows(tf.cast(images, tf.float32), *rows)
        # Columns as rows of the transposed image, as in `Translate`.
        result = _enlarge_rows(tf.transpose(result, [0, 2, 1, 3]), *columns)
        return _as_type(tf.transpose(result, [0, 2, 1, 3]), images.dtype)


def _enlarge_rows(images, start, length):
    """Interpolates rows [start, start + length) `(B,)` to as many as the image has."""
    size = images.shape[1]
    # Centres of the new pixels, in the crop's; beyond the outermost, the edge goes on.
    scale = tf.cast(length, tf.float32)[:, None] / size
    places = (tf.range(size, dtype=tf.float32) + 0.5) * scale - 0.5
    places = tf.clip_by_value(places, 0.0, tf.cast(length, tf.float32)[:, None] - 1)
    low = tf.cast(places, tf.int32)
    share = (places - tf.cast(low, tf.float32))[:, :, None, None]
    low += start[:, None]
    below = tf.gather(images, low, axis=1, batch_dims=1)
    above = tf.gather(images, tf.minimum(low + 1, size - 1), axis=1, batch_dims=1)
    return below + (above - below) * share


@dataclasses.dataclass(frozen=True)
class HorizontalFlip:
    """Mirrors each image, left to right, with a probability of one half."""

    num_draws = 1

    def output_shape(self, height, width, channels):
        return height, width, channels

    def __call__(self, images, uniforms):
        mirrored = uniforms[:, :, None, None] < 0.5
        return tf.where(mirrored, tf.reverse(images, [2]), images)


@dataclasses.dataclass(frozen=True)
class ColorJitter:
    """Changes brightness, then contrast, then saturation of each image at random.

    Always in this order, each by a factor uniform in [1 - x, 1 + x], and clipped to the
    range of pixels, 255 (1 for float images). As in torchvision, brightness multiplies;
    contrast moves the pixels away from or towards the image's mean grey; saturation,
    away from or towards each pixel's own grey, so it changes nothing in images of one
    channel.

    Args:
        brightness: Float in [0, 1], this x of the brightness.
        contrast: Float in [0, 1], that of the contrast.
        saturation: Float in [0, 1], that of the saturation.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    num_draws = 3

    def __post_init__(self):
        if not all(0 <= x <= 1 for x in dataclasses.astuple(self)):
            raise InputError(
                "Brightness, contrast and saturation must lie in [0, 1]. "
                f"Received: {dataclasses.astuple(self)}."
            )

    def output_shape(self, height, width, channels):
        if channels not in (1, 3):
            raise InputError(
                f"Colours can change in images of 1 or 3 channels. Received: {channels}"
                " channels. Leave `color` out of `data.augment`, or set it to False."
            )
        return height, width, channels

    def __call__(self, images, uniforms):
        extents = tf.constant(dataclasses.astuple(self), tf.float32)
        factors = 1 + (2 * uniforms - 1) * extents
        factors = tf.unstack(factors[:, :, None, None, None], axis=1)
        brightness, contrast, saturation = factors
        largest = 255.0 if images.dtype == tf.uint8 else 1.0
        pixels = tf.cast(images, tf.float32)

        def blend(towards, factor):
            return tf.clip_by_value(towards + (pixels - towards) * factor, 0.0, largest)

        pixels = blend(0.0, brightness)
        pixels = blend(tf.reduce_mean(_grey(pixels), [1, 2], keepdims=True), contrast)
        pixels = blend(_grey(pixels), saturation)
        return _as_type(pixels, images.dtype)


def _grey(images):
    """Returns `(B, h, w, 1)`, the luminance of ITU-R BT.601."""
    if images.shape[-1] == 1:
        return images
    red, green, blue = tf.split(images, 3, axis=-1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _as_type(pixels, dtype):
    """Returns float pixels >= 0 as `dtype`, rounded for uint8."""
    return tf.cast(pixels + 0.5 if dtype == tf.uint8 else pixels, dtype)


def size_pair(value, option):
    """Returns `value`, an integer or (height, width), as a pair of integers.

    Args:
        value: What the user gave. A command line makes a tuple of a single integer.
        option: Name of the option, for the error.
    """
    pair = (value, value) if isinstance(value, (int, np.integer)) else value
    if isinstance(pair, (tuple, list)) and len(pair) == 1:
        pair = (pair[0], pair[0])
    valid = isinstance(pair, (tuple, list)) and len(pair) == 2
    if not valid or not all(isinstance(v, (int, np.integer)) and v > 0 for v in pair):
        raise InputError(
            f"`data.{option}` must be a positive integer or (height, width). "
            f"Received: {value!r}."
        )
    return int(pair[0]), int(pair[1])
