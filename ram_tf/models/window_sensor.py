"""What a network looks with at images that are read where it looks."""

import contextlib

import numpy as np
import tensorflow as tf

from ram_tf.errors import InputError
from ram_tf.ops import reduce_images, reduce_patches


class WindowSensor:
    """Cuts glimpses of images that are named by their positions, and read as it looks.

    What it does is a step of Python in the graph, outside of what XLA compiles.

    Args:
        windows: `data.windows.Windows`: `cut`, `overview`, `sizes`, `channels`,
            `counts`, `cache`.
        skip_unreadable: Boolean. See zeros in place of a damaged image, which is kept
            in `unreadable`, or else stop there.

    Attributes:
        unreadable: Dictionary: position of a damaged image -> what is wrong with it.
    """

    def __init__(self, windows, skip_unreadable=False):
        self.windows = windows
        self.skip_unreadable = skip_unreadable
        self.unreadable = {}
        self._failure = None

    def glimpses(self, positions, locations, sides, size):
        """Cuts what a retina sees.

        Args:
            positions: Int tensor `(batch,)`, of images.
            locations: Float tensor `(batch, num, 2)`, (x, y) in [-1, 1].
            sides: Sequence of ints, sides of the patches in pixels.
            size: Int, side of what is returned.

        Returns:
            glimpses: Float32 `(batch, num, scales, size, size, channels)`, in [0, 1],
                zeros outside of an image.
            inside: Float32 `(batch, num, scales, size, size, 1)`: which share of each
                pixel lies inside.
        """
        shape = (locations.shape[1], len(sides), size, size)
        shapes = [(*shape, self.windows.channels), (*shape, 1)]

        def cut(positions, locations):
            def read(rows):
                return self.windows.cut(
                    positions[rows], locations[rows], sides, size, reduce_patches
                )

            return self._read(read, positions, shapes)

        found = tf.numpy_function(cut, [positions, locations], [tf.float32, tf.float32])
        return _with_shapes(found, positions, shapes)

    def overview(self, positions, size):
        """Brings whole images to `size` x `size`, from their smallest level that can.

        Args:
            positions: Int tensor `(batch,)`, of images.
            size: Int.

        Returns:
            Float32 tensor `(batch, size, size, channels)`, in [0, 1].
        """
        shape = (size, size, self.windows.channels)

        def see(positions):
            def read(rows):
                pixels = [self.windows.overview(p, size) for p in positions[rows]]
                pixels = [tf.constant(each[None] / np.float32(255)) for each in pixels]
                reduced = [reduce_images(each, size) for each in pixels]
                return (np.concatenate(reduced),)

            return self._read(read, positions, [shape])[0]

        found = tf.numpy_function(see, [positions], tf.float32)
        return _with_shapes([found], positions, [shape])[0]

    def sizes(self, positions):
        """Returns (height, width) of images in pixels, int32 `(batch, 2)`."""
        return tf.gather(tf.constant(self.windows.sizes, tf.int32), positions)

    @contextlib.contextmanager
    def naming_failures(self):
        """Raises what went wrong as it was raised, and not as the graph tells it."""
        self._failure = None
        try:
            yield
        except tf.errors.OpError as error:
            if self._failure is None:
                raise
            raise self._failure from error

    def _read(self, read, positions, shapes):
        """Calls `read` of some rows of a batch; of damaged ones there are zeros."""
        try:
            if not self.skip_unreadable:
                return [np.asarray(each, np.float32) for each in read(slice(None))]
            return self._read_what_can_be(read, positions, shapes)
        except Exception as error:
            self._failure = error
            raise

    def _read_what_can_be(self, read, positions, shapes):
        try:
            return [np.asarray(each, np.float32) for each in read(slice(None))]
        except InputError:
            pass
        found = [np.zeros((len(positions), *shape), np.float32) for shape in shapes]
        for row, position in enumerate(positions.tolist()):
            try:
                for whole, part in zip(found, read(slice(row, row + 1))):
                    whole[row] = part[0]
            except InputError as error:
                self.unreadable[position] = str(error)
        return found


def _with_shapes(found, positions, shapes):
    for tensor, shape in zip(found, shapes):
        tensor.set_shape((positions.shape[0], *shape))
    return found
