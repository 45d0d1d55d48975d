import math

import keras
from keras import ops

from ram_tf import random
from ram_tf.ops import (
    average_windows,
    box_sums,
    gather_boxes,
    gather_patches,
    reduce_patches,
)
from ram_tf.ops.reductions import METHODS

PADDINGS = ("zeros", "uniform", "normal")
_READS_PAY = 5


@keras.saving.register_keras_serializable(package="ram_tf")
class Retina(keras.layers.Layer):
    """Looks at an image at one place, sharp in the middle and coarser around it.

    Cuts square patches of several sides around a location and reduces each to the same
    small size. Bytes (integer images) are divided by 255; then every pixel becomes
    (pixel - mean) / stddev; pixels outside the image become padding.

    Args:
        size: Int. Side of a glimpse in pixels.
        num_scales: Int or `None`. Number of patches; `None` for as many as `sides`, or
            one.
        scale_factor: Int or float >= 1. Ratio of the sides of neighbouring scales,
            where `sides` does not say them.
        sides: Sequence of ints or `None`. The sides themselves, finest first, for
            example `(12, 24, 48, 96)`.
        reduction: `"average"`, `"bilinear"` or `"bicubic"`.
        padding: What lies outside the image: `"zeros"`, `"uniform"` noise in [0, 1) or
            standard `"normal"` noise, in normalised units.
        pixel_mean: Float. Subtracted from pixels in [0, 1].
        pixel_stddev: Float > 0. Divides them.
        zoom: (smallest, largest) or `None`. Locations have a third coordinate z in [-1,
            1] then, and all sides are multiplied by a scale between the two,
            log-linearly in z. Windows begin and end in the middle of pixels too, which
            weigh as much as their part; it takes `"average"` and `"zeros"`.
        seed: Int or `None`. Seed of the layer's own noise.

    Call arguments:
        images: Tensor `(batch, height, width, channels)`, float in [0, 1] or uint8.
        locations: Float tensor `(batch, 2)` or `(batch, num, 2)`, (x, y) in [-1, 1],
            or (x, y, z).
        seed: Int32 tensor `(2,)` or `None`. Replaces the layer's own random stream.
        sums: What `summarize(images, ...)` returned, or `None`.

    Returns:
        Glimpses `(batch, [num,] scales, size, size, channels)`, finest scale first.

    Reference:
        [Mnih et al., 2014](https://arxiv.org/abs/1406.6247), section 3.1, "Sensor".
    """

    def __init__(
        self,
        size=8,
        num_scales=None,
        scale_factor=2,
        sides=None,
        reduction="average",
        padding="zeros",
        pixel_mean=0.0,
        pixel_stddev=1.0,
        zoom=None,
        seed=None,
        **kwargs,
    ):
        # Locations must not be rounded to half precision, so nothing is cast.
        super().__init__(autocast=False, **kwargs)
        count = 1 if num_scales is None else num_scales
        if size < 1 or count < 1 or scale_factor < 1:
            raise ValueError(
                "`size`, `num_scales` and `scale_factor` must be at least 1. Received: "
                f"size={size}, num_scales={num_scales}, scale_factor={scale_factor}."
            )
        if reduction not in METHODS:
            raise ValueError(
                f"`reduction` must be one of {METHODS}. Received: {reduction!r}."
            )
        if padding not in PADDINGS:
            raise ValueError(
                f"`padding` must be one of {PADDINGS}. Received: {padding!r}."
            )
        if pixel_stddev <= 0:
            raise ValueError(
                f"`pixel_stddev` must be positive. Received: {pixel_stddev}."
            )
        self.size = size
        self.num_scales = num_scales
        self.scale_factor = scale_factor
        self.sides = None if sides is None else tuple(sides)
        self.reduction = reduction
        self.padding = padding
        self.pixel_mean = pixel_mean
        self.pixel_stddev = pixel_stddev
        self.zoom = None if zoom is None else tuple(zoom)
        if zoom is not None:
            self._check_zoom()
        self.seed = seed
        self.patch_sides = self._patch_sides(count)
        self.seed_generator = random.ReplicaSeedGenerator(seed)

    def _patch_sides(self, count):
        sides = self.sides
        if sides is None:
            return tuple(
                round(self.size * self.scale_factor**scale) for scale in range(count)
            )
        if self.num_scales not in (None, len(sides)):
            raise ValueError(
                "`num_scales` must be the number of `sides`, or `None`. Received: "
                f"num_scales={self.num_scales}, sides={sides}."
            )
        if not sides or min(sides) < 1 or list(sides) != sorted(sides):
            raise ValueError(
                "`sides` must be at least 1 each, in ascending order: the finest scale "
                f"comes first. Received: sides={sides}."
            )
        return sides

    def _check_zoom(self):
        zoom = self.zoom
        if len(zoom) != 2 or not 0 < zoom[0] <= zoom[1] < float("inf"):
            raise ValueError(
                f"`zoom` must be 0 < smallest <= largest. Received: zoom={zoom}."
            )
        if self.reduction != "average" or self.padding != "zeros":
            raise ValueError(
                '`zoom` takes reduction="average" and padding="zeros". Received: '
                f"reduction={self.reduction!r}, padding={self.padding!r}."
            )

    @property
    def num_coordinates(self):
        """How many numbers a location has: 3 with a `zoom`, else 2."""
        return 2 if self.zoom is None else 3

    def scale_at(self, locations):
        """The scale `(...)` of locations `(..., 3)`: what sides are times."""
        smallest, largest = self.zoom
        share = 0.5 * (locations[..., 2] + 1.0)
        return smallest * ops.exp(math.log(largest / smallest) * share)

    def windows(self, locations, image_size):
        """What glimpses with a `zoom` see, in pixels and fractions of them.

        Args:
            locations: Float tensor `(..., 3)`, (x, y, z) in [-1, 1].
            image_size: Tuple `(height, width)`.

        Returns:
            starts: `(..., scales, 2)`, (row, column) of the first corners.
            sides: `(..., scales)`.
        """
        locations = ops.cast(locations, "float32")
        size = ops.convert_to_tensor(tuple(image_size), dtype="float32")
        sides = ops.convert_to_tensor(self.patch_sides, dtype="float32")
        sides = self.scale_at(locations)[..., None] * sides
        centres = 0.5 * (ops.flip(locations[..., :2], axis=-1) + 1.0) * size
        return centres[..., None, :] - 0.5 * sides[..., None], sides

    def build(self, images_shape, locations_shape):
        self.built = True

    def summarize(self, images, num_glimpses):
        """Sums boxes once an image, for the scales that many glimpses would read.

        A wide scale read by every glimpse touches the same pixels again and again; its
        box sums cost one pass over the image. Measured on two cores, that pays from
        about five reads of every pixel on, and changes nothing but the time.

        Args:
            images: Tensor `(batch, height, width, channels)`.
            num_glimpses: Int, glimpses that will be taken of each image.

        Returns:
            Tuple, one entry a scale: box sums, or `None` where they do not pay.
        """
        if self.zoom is not None:
            return (None,) * len(self.patch_sides)
        pixels = images.shape[1] * images.shape[2]
        return tuple(
            box_sums(images, side // self.size)
            if self._can_sum(side) and num_glimpses * side**2 >= _READS_PAY * pixels
            else None
            for side in self.patch_sides
        )

    def call(self, images, locations, seed=None, sums=None):
        single = len(locations.shape) == 2
        if single:
            locations = locations[:, None]
        if self.zoom is not None:
            glimpses = self._look_through(images, locations)
            return glimpses[:, 0] if single else glimpses
        if seed is None and self.padding != "zeros":
            seed = self.seed_generator.next()
        scales = [
            self._look(images, locations, side, None if seed is None else (seed, scale))
            if sums is None or sums[scale] is None
            else self._look_up(sums[scale], images, locations, side)
            for scale, side in enumerate(self.patch_sides)
        ]
        glimpses = ops.stack(scales, axis=2)
        return glimpses[:, 0] if single else glimpses

    def _look_through(self, images, locations):
        """Glimpses of windows that are as wide as locations say."""
        starts, sides = self.windows(locations, images.shape[1:3])
        num, scales = sides.shape[1:]
        pixels = ops.cast(images, "float32") * self._pixel_scale(images)
        means, inside = average_windows(
            pixels,
            ops.reshape(starts, (-1, num * scales, 2)),
            ops.reshape(sides, (-1, num * scales)),
            self.size,
        )
        glimpses = means - inside * (self.pixel_mean / self.pixel_stddev)
        shape = (-1, num, scales, self.size, self.size, images.shape[-1])
        return ops.cast(ops.reshape(glimpses, shape), self.compute_dtype)

    def _look(self, images, locations, side, seed):
        patches, inside = gather_patches(images, locations, side)
        patches = ops.cast(patches, "float32") * self._pixel_scale(images)
        patches = patches - self.pixel_mean / self.pixel_stddev
        if self.padding == "zeros":  # A product: a choice takes twice as long.
            patches = patches * ops.cast(inside, "float32")
        else:
            patches = ops.where(inside, patches, self._outside(patches, seed))
        reduced = reduce_patches(patches, self.size, self.reduction)
        return ops.cast(reduced, self.compute_dtype)

    def _can_sum(self, side):
        return (
            self.reduction == "average"
            and self.padding == "zeros"
            and side > self.size
            and side % self.size == 0
        )

    def _look_up(self, sums, images, locations, side):
        ratio = side // self.size
        boxes, counts = gather_boxes(
            sums, locations, self.size, ratio, images.shape[1:3]
        )
        boxes = ops.cast(boxes, "float32") * self._pixel_scale(images)
        means = ops.cast(counts, "float32") * (self.pixel_mean / self.pixel_stddev)
        return ops.cast((boxes - means) / ratio**2, self.compute_dtype)

    def _pixel_scale(self, images):
        is_bytes = not keras.backend.is_float_dtype(images.dtype)
        return (1.0 / 255.0 if is_bytes else 1.0) / self.pixel_stddev

    def _outside(self, patches, seed):
        draw = {"uniform": random.uniform, "normal": random.normal}[self.padding]
        return draw(ops.shape(patches), random.fold_in(*seed))

    def compute_output_shape(self, images_shape, locations_shape):
        glimpse = (len(self.patch_sides), self.size, self.size, images_shape[-1])
        return (*locations_shape[:-1], *glimpse)

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "num_scales": self.num_scales,
            "scale_factor": self.scale_factor,
            "sides": self.sides,
            "reduction": self.reduction,
            "padding": self.padding,
            "pixel_mean": self.pixel_mean,
            "pixel_stddev": self.pixel_stddev,
            "zoom": self.zoom,
            "seed": self.seed,
        }
