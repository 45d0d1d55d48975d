"""Changed test images: scaled, shifted and cluttered, as far as a data set allows.

What an image becomes depends on the image and its position in its split alone.
"""

import numpy as np
import tensorflow as tf
from keras import ops

from ram_tf.data.transforms import example_uniforms

SEED = 6_101_997
NUM_PIECES = 4
PIECE_SIDE = 8
# So many images of the split give the pieces of all.
NUM_SOURCES = 128


def perturbations(dataset, split):
    """Returns the perturbations of a data set, name -> `(images, examples) -> images`.

    What comes into view beside a scaled or shifted image has the data set's background,
    or goes on as the image's edge where it has none, as photographs have. Pieces of
    other images of the split win where they are brighter on black, darker on white, and
    everywhere on photographs. `examples` are positions in the split.

    Args:
        dataset: A `Dataset`.
        split: `"validation"` or `"test"`.
    """
    draw = np.random.default_rng(SEED)
    size = dataset.eval_size(split)
    chosen = np.sort(draw.permutation(size)[:NUM_SOURCES])
    sources = dataset.take(split, chosen)
    background = dataset.background

    def affine(scale, shift=0.0):
        return lambda images, examples: _affine(images, scale, shift, background)

    def clutter(images, examples):
        return _clutter(images, examples, sources, chosen, background)

    return {
        "scale 0.75": affine(0.75),
        "scale 1.25": affine(1.25),
        "shift 10 %": affine(1.0, 0.1),
        "clutter": clutter,
    }


def _affine(images, scale, shift, background):
    """Scales about the centre and shifts right and down by a share of the image."""
    height, width = images.shape[1:3]
    matrix = [
        1 / scale,
        0.0,
        (width - 1) / 2 * (1 - 1 / scale) - shift * width / scale,
        0.0,
        1 / scale,
        (height - 1) / 2 * (1 - 1 / scale) - shift * height / scale,
        0.0,
        0.0,
    ]
    is_bytes = images.dtype == "uint8"
    moved = ops.image.affine_transform(
        ops.cast(images, "float32"),
        ops.tile(ops.convert_to_tensor([matrix]), (ops.shape(images)[0], 1)),
        interpolation="bilinear",
        fill_mode="nearest" if background is None else "constant",
        fill_value=(background or 0.0) * (255.0 if is_bytes else 1.0),
    )
    return ops.cast(ops.round(moved) if is_bytes else moved, images.dtype)


def _clutter(images, examples, sources, chosen, background):
    """Pastes pieces of `sources`, the images at positions `chosen` of the split."""
    height, width = images.shape[1:3]
    side = min(PIECE_SIDE, height, width)
    room = [len(chosen), *[height - side + 1, width - side + 1] * 2]
    draws = example_uniforms(SEED, 0, examples, NUM_PIECES * len(room))
    draws = ops.reshape(draws, (-1, NUM_PIECES, len(room)))
    draws = ops.cast(draws * ops.convert_to_tensor(room, "float32"), "int32")
    paste = {None: lambda below, piece: piece, 0.0: ops.maximum, 1.0: ops.minimum}
    for piece in range(NUM_PIECES):
        source, from_row, from_column, row, column = ops.unstack(
            draws[:, piece], axis=1
        )
        own = ops.take(chosen, source) == ops.cast(examples, chosen.dtype)
        source = (source + ops.cast(own, "int32")) % len(chosen)  # Another image.
        rows, in_rows = _span(row, from_row, side, height)
        columns, in_columns = _span(column, from_column, side, width)
        moved = tf.gather(ops.take(sources, source, axis=0), rows, axis=1, batch_dims=1)
        moved = tf.gather(moved, columns, axis=2, batch_dims=1)
        inside = in_rows[:, :, None, None] & in_columns[:, None, :, None]
        images = ops.where(inside, paste[background](images, moved), images)
    return images


def _span(start, source_start, side, length):
    """Where each of `length` places is read from `(batch, length)`, and if it is."""
    offset = ops.arange(length, dtype="int32") - start[:, None]
    inside = (offset >= 0) & (offset < side)
    return source_start[:, None] + ops.clip(offset, 0, side - 1), inside
