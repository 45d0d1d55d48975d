import keras
from keras import ops

from ram_tf import layers
from ram_tf.errors import InputError
from ram_tf.models.parts import CORES, first_states, make_part, read_steps, run_core
from ram_tf.models.retina_model import RetinaModel
from ram_tf.ops import reduction_matrix

EMISSIONS = {
    "attention": layers.AttentionEmission,
    "recurrent": layers.RecurrentEmission,
}
# Crops of a pre-training, finest first, and the combinations that each have a head.
RESOLUTIONS = ("high", "medium", "low")
COMBINATIONS = {
    "high_medium": (0, 1),
    "high_low": (0, 2),
    "medium_low": (1, 2),
    "high_medium_low": (0, 1, 2),
}


class _Looks(RetinaModel):
    """What both ways of using the backbone share: square images and their crops."""

    zoom = None

    def check_windows(self):
        # A glimpse's sides are parts of the image's: without a size there are none.
        super(RetinaModel, self).check_windows()

    def _check_square(self, image_shape):
        _, height, width, channels = image_shape
        if height != width or height % 4 or channels not in (1, 3):
            raise InputError(
                f"images of {height}x{width}x{channels} do not fit: expected squares "
                "of a side that 4 divides, grey or colour. Set data.square, or "
                "data.image_size."
            )
        return height

    def _crop_features(self, glimpses, training):
        """Features `(batch, num, scales * units)` of each patch, averaged over it."""
        shape = ops.shape(glimpses)
        patches = ops.reshape(glimpses, (-1, *shape[3:]))
        features = ops.mean(self._backbone_features(patches, training), axis=(1, 2))
        return ops.reshape(features, (shape[0], shape[1], shape[2] * features.shape[1]))

    def _backbone_features(self, images, training):
        if not self.backbone.trainable:
            return ops.stop_gradient(self.backbone(images, training=False))
        return self.backbone(images, training=training)


@keras.saving.register_keras_serializable(package="ram_tf")
class ResolutionClassifier(_Looks):
    """Classifies three centred crops, to pre-train a backbone.

    The crops are a quarter, a half and the whole of the image, each at the side of a
    glimpse. Each combination of them has a classifier of its own, so that no resolution
    is left without information. Looks once, wherever it is told.

    Args:
        num_classes: Int >= 2.
        backbone: A `Backbone`.
        size: Int. Side in pixels of what the backbone sees.

    Reference:
        [Sermanet et al., 2014](https://arxiv.org/abs/1412.7054), section 4.
    """

    parts = ("backbone",)

    def __init__(self, num_classes, backbone, size=96, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.backbone = backbone
        self.size = size
        self.retina = None
        self.heads = {
            name: keras.layers.Dense(num_classes, dtype="float32", name=name)
            for name in COMBINATIONS
        }

    def build(self, input_shape):
        side = self._check_square(input_shape)
        self.retina = layers.Retina(self.size, sides=(side // 4, side // 2, side))
        if not self.backbone.built:
            self.backbone.build((None, self.size, self.size, input_shape[-1]))
        for name, chosen in COMBINATIONS.items():
            self.heads[name].build((None, len(chosen) * self.backbone.units))
        self.built = True

    def initial_state(self, context):
        count = ops.shape(context["images"])[0]
        units = len(RESOLUTIONS) * self.backbone.units
        return {"hidden": ops.zeros((count, units), self.compute_dtype)}

    def encode(self, glimpses, locations, training=False):
        return self._crop_features(glimpses, training)

    def integrate(self, features, location, state, training=False):
        return {"hidden": features}

    def read(self, hidden, training=False, seed=None):
        """Reads features: `logits` of all crops, and `<combination>_logits`."""
        _, steps, units = hidden.shape
        by_crop = ops.split(ops.reshape(hidden, (-1, units)), len(RESOLUTIONS), axis=-1)
        read = {}
        for name, chosen in COMBINATIONS.items():
            crops = ops.concatenate([by_crop[index] for index in chosen], axis=-1)
            logits = ops.reshape(self.heads[name](crops), (-1, steps, self.num_classes))
            read[f"{name}_logits"] = logits
        return {"logits": read["high_medium_low_logits"], **read}

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "size": self.size,
        }


@keras.saving.register_keras_serializable(package="ram_tf")
class FineGrained(_Looks):
    """Fine-grained attention with a context network.

    A backbone sees the whole image once, coarsely: its features, averaged over n x n
    regions, are the context that emits where to look, from the first glimpse on. Each
    glimpse is `num_scales` patches of the image, whose features the backbone gives and
    a recurrent core takes in. `resolutions` pre-trains the backbone.

    Args:
        num_classes: Int >= 2.
        backbone: A `Backbone`.
        core: RNN cell `(features, states) -> hidden, states`.
        emission: `AttentionEmission` or `RecurrentEmission`.
        baseline: Layer `hidden -> values`.
        size: Int. Side in pixels of what the backbone sees.
        num_scales: Int. Patches of a glimpse, each twice as wide as the one before.
        start_size: 1, 2 or 4. Side of the finest, in quarters of the image: high,
            medium or low resolution.
        regions: Int >= 2. n, the context's regions along a side.
        mix_location: Boolean. Multiply features by a rectified linear map of where
            they were seen; published without.

    Reference:
        [Sermanet et al., 2014](https://arxiv.org/abs/1412.7054).
    """

    parts = ("backbone", "core", "emission", "baseline")

    def __init__(
        self,
        num_classes,
        backbone=None,
        core=None,
        emission=None,
        baseline=None,
        size=96,
        num_scales=1,
        start_size=2,
        regions=2,
        mix_location=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_classes < 2:
            raise ValueError(
                f"`num_classes` must be at least 2. Received: {num_classes}"
            )
        if start_size not in (1, 2, 4):
            raise ValueError(f"`start_size` must be 1, 2 or 4. Received: {start_size}")
        if regions < 2:
            raise ValueError(f"`regions` must be at least 2. Received: {regions}")
        if min(num_scales, size) < 1:
            raise ValueError(
                "`num_scales` and `size` must be at least 1. Received: "
                f"{num_scales}, {size}"
            )
        self.num_classes = num_classes
        self.backbone = backbone or layers.Backbone()
        self.core = core or keras.layers.LSTMCell(2048)
        self.emission = emission or layers.AttentionEmission()
        self.baseline = baseline or layers.ValueBaseline()
        self.size = size
        self.num_scales = num_scales
        self.start_size = start_size
        self.regions = regions
        self.mix_location = mix_location
        self.retina = None
        self.where = None
        self.classifier = keras.layers.Dense(
            num_classes, dtype="float32", name="classifier"
        )
        self.resolutions = ResolutionClassifier(num_classes, self.backbone, size)

    @classmethod
    def from_options(cls, num_classes, *, backbone, core, emission, baseline, **more):
        """Builds the model from plain dictionaries, as a config file gives them.

        `core` and `emission` name theirs under `kind`.
        """
        return cls(
            num_classes,
            backbone=layers.Backbone(**backbone),
            core=make_part(CORES, "core", core),
            emission=make_part(EMISSIONS, "emission", emission),
            baseline=layers.ValueBaseline(**baseline),
            **more,
        )

    def build(self, input_shape):
        side = self._check_square(input_shape)
        first = self.start_size * side // 4
        self.retina = layers.Retina(
            self.size, sides=[first * 2**scale for scale in range(self.num_scales)]
        )
        self.resolutions.build(input_shape)
        shape = (None, self.size, self.size, input_shape[-1])
        rows = self.backbone.compute_output_shape(shape)[1]
        if rows < self.regions:
            raise InputError(
                f"{self.regions}x{self.regions} regions need as many features along a "
                f"side: {self.backbone.kind} gives {rows}x{rows} for {self.size} "
                "pixels. Set model.size higher, or model.regions lower."
            )
        self.overview_shape = (self.size, self.size, input_shape[-1])
        units = self.num_scales * self.backbone.units
        if self.mix_location and self.where is None:
            self.where = keras.layers.Dense(units, activation="relu", name="where")
        regions = (None, self.regions**2, self.backbone.units)
        hidden = (None, self.core.output_size)
        for layer, *shapes in (
            (self.core, (None, units)),
            (self.emission, regions, hidden),
            (self.baseline, hidden),
            (self.classifier, hidden),
            *([(self.where, (None, 2))] if self.mix_location else []),
        ):
            if not layer.built:
                layer.build(*shapes)
        self.built = True

    def load_pretrained(self, source):
        self.backbone.load_pretrained(source)

    def first_context(self, overview, training=False):
        features = self._backbone_features(overview, training)
        rows, columns = (
            ops.cast(reduction_matrix(length, self.regions, "average"), features.dtype)
            for length in features.shape[1:3]
        )
        regions = ops.einsum("ph,qw,bhwc->bpqc", rows, columns, features)
        shape = (-1, self.regions**2, features.shape[-1])
        regions = ops.cast(ops.reshape(regions, shape), "float32")
        return {"images": overview, "regions": regions}

    def prepare(self, images, training=False):
        """Adds the context's regions, `(batch, regions ** 2, units)`, once an image."""
        context = self.first_context(self.overview(images), training)
        return {**context, "images": images}

    def without_gradients(self, num_images, num_glimpses):
        """The frozen backbone's pass, on each image's coarse view and its glimpses."""
        if self.backbone.trainable:
            return None
        patches = num_images * (1 + num_glimpses * self.num_scales)
        pixels = ops.zeros((patches, *self.overview_shape))
        return self.backbone(pixels, training=False)

    def initial_state(self, context):
        batch_size = ops.shape(context["images"])[0]
        states = first_states(self.core, batch_size)
        mean, emitted, emission = self.emission.first(context["regions"])
        return {
            "core": states,
            "hidden": states[0],
            "regions": context["regions"],
            "mean": mean,
            "emitted": emitted,
            "emission": emission,
        }

    def encode(self, glimpses, locations, training=False):
        features = self._crop_features(glimpses, training)
        return features * self.where(locations) if self.mix_location else features

    def integrate(self, features, location, state, training=False):
        hidden, states = run_core(self.core, features, state["core"], training)
        # Decisions train the emission alone, never the core.
        seen = ops.cast(ops.stop_gradient(hidden), "float32")
        mean, emitted, emission = self.emission(
            state["regions"], seen, state["emission"]
        )
        return {
            "core": states,
            "hidden": hidden,
            "regions": state["regions"],
            "mean": mean,
            "emitted": emitted,
            "emission": emission,
        }

    def read(self, hidden, training=False, seed=None, classify_last=None):
        """Reads hidden states: see `AttentionModel.read`.

        A glimpse's baseline knows what was seen before it: of the first one, nothing.

        Args:
            hidden: Tensor `(batch, time, units)`.
            training: Boolean.
            seed: Not used.
            classify_last: Int or `None`. Logits of only so many last steps.

        Returns:
            `{"logits": (batch, time, classes), "baselines": (batch, time)}`.
        """
        before = ops.pad(hidden[:, :-1], ((0, 0), (1, 0), (0, 0)))
        return read_steps(self, hidden, before, classify_last)

    def get_config(self):
        names = (
            "num_classes",
            "size",
            "num_scales",
            "start_size",
            "regions",
            "mix_location",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
