import keras
from keras import ops

from ram_tf import layers
from ram_tf.errors import InputError
from ram_tf.models.attention_model import AttentionModel
from ram_tf.ops import reduce_images

_PLACE = (
    "`location` is (x, y). A glimpse holds one patch for each side s of `sides`, in "
    "their order. On an axis of n pixels (height for y, width for x) and at the "
    "coordinate l, in float32, p = floor((l + 1) / 2 * n), and the patch covers the s "
    "pixels from p - floor(s / 2) on."
)
_RESIZED = {
    "average": "value i of an axis is the mean of the patch from i * s / size to "
    "(i + 1) * s / size; a pixel that is only partly in there weighs as much as its "
    "part",
    "bilinear": "value i of an axis is the mean of the patch's pixels j with the "
    "weights max(0, 1 - d), d = |(i + 0.5) * s / size - (j + 0.5)| / max(s / size, 1)",
    "bicubic": "value i of an axis is the mean of the patch's pixels j with the "
    "weights k(d), d = |(i + 0.5) * s / size - (j + 0.5)| / max(s / size, 1); k(d) = "
    "1.5 d^3 - 2.5 d^2 + 1 for d < 1, -0.5 d^3 + 2.5 d^2 - 4 d + 2 for 1 <= d < 2, 0 "
    "beyond",
}
_OUTSIDE = {
    "zeros": "What lies outside of the image counts as `outside`, in the means too.",
    "uniform": "What lies outside of the image is noise, drawn for each pixel: uniform "
    "from `outside` to `outside` + `noise`.",
    "normal": "What lies outside of the image is noise, drawn for each pixel: normal "
    "around `outside` with the standard deviation `noise`.",
}
_WHOLE = (
    "`overview` is the whole image brought to `overview_size` x `overview_size`: value "
    "i of an axis of n pixels is the mean of the image from i * n / overview_size to "
    "(i + 1) * n / overview_size; a pixel that is only partly in there weighs as much "
    "as its part."
)


_WINDOW = (
    "`location` is (x, y, z). A glimpse holds one square window for each side s of "
    "`sides`, in their order, f * s pixels wide, f = a * (b / a) ** ((z + 1) / 2) for "
    "`zoom` = [a, b]. On an axis of n pixels (height for y, width for x), where pixel "
    "j spans j to j + 1, and at the coordinate l it is centred on (l + 1) / 2 * n."
)
_AVERAGED = (
    "Each window is brought to `size` x `size`: value i of an axis is the mean of the "
    "window from i * f * s / size to (i + 1) * f * s / size; a pixel that is only "
    "partly in there weighs as much as its part."
)


class RetinaModel(AttentionModel):
    """What all models share that see through a `Retina`, their attribute `retina`."""

    @property
    def glimpse_sides(self):
        return self.retina.patch_sides

    @property
    def zoom(self):
        return self.retina.zoom

    def scale_at(self, locations):
        return self.retina.scale_at(locations)

    def glimpse_boxes(self, locations, image_size):
        if self.zoom is None:
            return super().glimpse_boxes(locations, image_size)
        starts, sides = self.retina.windows(
            ops.convert_to_tensor(locations), image_size
        )
        # Whole pixels: those of which a thousandth or more is seen.
        first = ops.floor(starts + 1e-3)
        last = ops.ceil(starts + sides[..., None] - 1e-3)
        return ops.cast(ops.concatenate([first, last], axis=-1), "int32")

    @property
    def senses_noise(self):
        return self.retina.padding != "zeros"

    def check_windows(self):
        if self.zoom is not None:
            raise InputError(
                "a zoom needs images in memory: of images that are read in windows the "
                f"scales of a retina are fixed. Leave model.retina.zoom out, got "
                f"{self.zoom}."
            )
        usual = {"reduction": "average", "padding": "zeros"}
        for key, value in usual.items():
            received = getattr(self.retina, key)
            if received != value:
                raise InputError(
                    "of images that are read in windows a retina sees averages, and "
                    f"zeros outside: set model.retina.{key} to {value!r}, got "
                    f"{received!r}."
                )

    def begin(self, context, num_glimpses):
        if self.sensor is not None:
            return context
        sums = self.retina.summarize(context["images"], num_glimpses)
        return {**context, "sums": sums}

    def overview(self, images):
        if self.sensor is not None:
            return self.sensor.overview(images, self.overview_shape[0])
        is_bytes = not keras.backend.is_float_dtype(images.dtype)
        pixels = ops.cast(images, "float32") * (1.0 / 255.0 if is_bytes else 1.0)
        return reduce_images(pixels, self.overview_shape[0])

    def sense(self, context, locations, seed=None):
        if self.sensor is not None:
            return self._read_windows(context["images"], locations)
        return self.retina(
            context["images"], locations, seed=seed, sums=context.get("sums")
        )

    def _read_windows(self, positions, locations):
        """What the retina would see with the whole image in memory."""
        retina = self.retina
        glimpses, inside = self.sensor.glimpses(
            positions, locations, retina.patch_sides, retina.size
        )
        if retina.pixel_stddev != 1.0:
            glimpses = glimpses / retina.pixel_stddev
        if retina.pixel_mean != 0.0:
            glimpses = glimpses - inside * (retina.pixel_mean / retina.pixel_stddev)
        return ops.cast(glimpses, retina.compute_dtype)

    def describe_sensor(self):
        retina = self.retina
        resized = _RESIZED[retina.reduction]
        noise = {"noise": retina.pixel_stddev} if self.senses_noise else {}
        shape = self.overview_shape
        whole = {} if shape is None else {"overview_size": shape[0]}
        seen = [_PLACE, f"Each patch is brought to `size` x `size`: {resized}."]
        zoom = {}
        if self.zoom is not None:
            seen, zoom = [_WINDOW, _AVERAGED], {"zoom": list(self.zoom)}
        return {
            "how": [
                "Pixels are floats in [0, 1], 0 black.",
                *seen,
                _OUTSIDE[retina.padding],
                *([_WHOLE] if whole else []),
            ],
            "sides": list(retina.patch_sides),
            "size": retina.size,
            **zoom,
            "outside": retina.pixel_mean,
            **noise,
            **whole,
        }

    def check_head(self):
        """Raises a `ValueError` if the location head decides on other numbers."""
        head = self.location
        ours = isinstance(head, layers.GaussianLocation)
        if ours and head.num_coordinates != self.num_coordinates:
            raise ValueError(
                f"`location` decides on {head.num_coordinates} numbers, and a location "
                f"of this `retina` (zoom={self.zoom}) has {self.num_coordinates}: set "
                "`num_coordinates`."
            )

    def normalize(self, pixels):
        retina = self.retina
        return (pixels - retina.pixel_mean) / retina.pixel_stddev

    def denormalize(self, glimpses):
        return glimpses * self.retina.pixel_stddev + self.retina.pixel_mean
