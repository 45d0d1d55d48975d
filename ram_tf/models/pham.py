import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ram_tf import layers, random
from ram_tf.errors import InputError
from ram_tf.models.attention_model import AttentionModel
from ram_tf.models.stop_rules import LittleToGain
from ram_tf.ops import cut_patches


@keras.saving.register_keras_serializable(package="ram_tf")
class PHAM(AttentionModel):
    """Probabilistic hard attention: looks where it expects to learn most.

    Glimpses are patches of an image; a grid of them, half a patch apart, are the cells
    that a policy chooses from. A partial variational autoencoder imagines, from what
    was seen, the features of all cells; `lookahead` says what the class would be after
    looking at each.

    A location (x, y) in [-1, 1] points at the first pixel of a patch, so that every
    location is one patch inside the image and (0, 0) is the central one.

    Args:
        num_classes: Int >= 2.
        glimpse_size: Int, even and at least 4. Side of a patch in pixels.
        feature_units: Int. Width of a glimpse's features.
        latent_units: Int. Width of the latent variable.
        hidden_units: Int. Width of the recurrent state.
        num_flows: Int. Blocks of the posterior's flow; 0 for a Gaussian posterior.
        dropout: Float in [0, 1). Before the classifier.
        channel_variance: Boolean. See `PartialVae`.
        imagined_steps: Int or `None`. After how many of the glimpses a training step
            imagines, drawn for each image; `None` for all. Fewer estimate the same
            evidence bound: most of the cost of a step is there, and the glimpses of
            one image tell much the same.

    Reference:
        [Rangrej and Clark, 2021](https://arxiv.org/abs/2111.07534).
    """

    recorded = ("features", "cell")
    stop_rule = LittleToGain

    def __init__(
        self,
        num_classes,
        glimpse_size=8,
        feature_units=128,
        latent_units=256,
        hidden_units=512,
        num_flows=4,
        dropout=0.5,
        channel_variance=False,
        imagined_steps=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_classes < 2:
            raise ValueError(
                f"`num_classes` must be at least 2. Received: {num_classes}"
            )
        if glimpse_size < 4 or glimpse_size % 2:
            raise ValueError(
                f"`glimpse_size` must be even and at least 4. Received: {glimpse_size}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must lie in [0, 1). Received: {dropout}")
        if imagined_steps is not None and imagined_steps < 1:
            raise ValueError(
                f"`imagined_steps` must be at least 1. Received: {imagined_steps}"
            )
        self.num_classes = num_classes
        self.glimpse_size = glimpse_size
        self.feature_units = feature_units
        self.latent_units = latent_units
        self.hidden_units = hidden_units
        self.num_flows = num_flows
        self.dropout = dropout
        self.channel_variance = channel_variance
        self.imagined_steps = imagined_steps
        self.patch_encoder = layers.PatchEncoder(feature_units, name="patch_encoder")
        self.location_mixer = layers.LocationMixer(name="location_mixer")
        self.core = layers.LayerNormCell(hidden_units, name="core")
        self.classifier = keras.layers.Dense(
            num_classes, dtype="float32", name="classifier"
        )
        self.partial_vae = None

    @property
    def glimpse_sides(self):
        return (self.glimpse_size,)

    @property
    def stride(self):
        """Distance of neighbouring cells in pixels."""
        return self.glimpse_size // 2

    def build(self, input_shape):
        _, height, width, channels = input_shape
        side = self.glimpse_size
        self.room = np.array([height - side + 1, width - side + 1])
        if min(self.room) < 1 or any((self.room - 1) % self.stride):
            raise InputError(
                f"images of {height}x{width} pixels do not fit glimpses of {side}x"
                f"{side} at a distance of {self.stride}: both sides must be {side} "
                f"plus a multiple of {self.stride}. Resize or pad the images, or "
                "change model.glimpse_size."
            )
        rows, columns = (self.room - 1) // self.stride + 1
        self.grid = (int(rows), int(columns))
        self.cell_starts = self.stride * np.stack(
            np.divmod(np.arange(rows * columns), columns), axis=-1
        ).astype("int32")
        if self.partial_vae is None:
            self.partial_vae = layers.PartialVae(
                self.feature_units,
                self.latent_units,
                self.grid,
                num_flows=self.num_flows,
                channel_variance=self.channel_variance,
                name="partial_vae",
            )
        self.patch_encoder.build((None, side, side, channels))
        self.location_mixer.build((None, self.feature_units), (None, 2))
        self.core.build((None, self.feature_units))
        self.classifier.build((None, self.hidden_units))
        self.partial_vae.build((None, self.hidden_units))
        self.built = True

    @property
    def num_cells(self):
        return len(self.cell_starts)

    @property
    def cell_locations(self):
        """Array `(cells, 2)`: (x, y) of each cell, row by row."""
        # Half a pixel in, so that rounding cannot lead to a neighbour.
        places = 2 * (self.cell_starts + 0.5) / self.room - 1
        return places[:, ::-1].astype("float32")

    def check_glimpses(self, num_glimpses):
        super().check_glimpses(num_glimpses)
        if num_glimpses > self.num_cells:
            raise InputError(
                f"{num_glimpses} glimpses are more than the {self.num_cells} cells of "
                "the image: lower train.num_glimpses (--T)."
            )

    def initial_state(self, context):
        batch_size = ops.shape(context["images"])[0]
        states = self.core.get_initial_state(batch_size=batch_size)
        return {
            "hidden": states[0],
            "seen": ops.zeros((batch_size, self.num_cells), dtype="bool"),
            "features": ops.zeros(
                (batch_size, self.feature_units), dtype=self.compute_dtype
            ),
            "cell": ops.zeros((batch_size,), dtype="int32"),
        }

    def sense(self, context, locations, seed=None):
        starts = self._first_pixels(locations)
        patches = cut_patches(context["images"], starts, self.glimpse_size)
        return _centered(patches)[:, :, None]  # One scale.

    def describe_sensor(self):
        return {
            "how": [
                "Pixels are floats in [0, 1], 0 black.",
                "`location` is (x, y). A glimpse is one patch of s x s pixels, s the "
                "only one of `sides`, as they are. On an axis of n pixels (height for "
                "y, width for x) and at the coordinate l, in float32, its first pixel "
                "is floor((l + 1) / 2 * (n - s + 1)), but at most n - s: it never "
                "leaves the image.",
            ],
            "sides": list(self.glimpse_sides),
            "size": self.glimpse_size,
        }

    def normalize(self, pixels):
        return 2.0 * pixels - 1.0

    def denormalize(self, glimpses):
        return (glimpses + 1.0) / 2.0

    def encode(self, glimpses, locations, training=False):
        features = self.patch_encoder(
            glimpses[:, :, 0], training=training and self.patch_encoder.trainable
        )
        located = self.location_mixer(
            features,
            self._places(self._first_pixels(locations)),
            training=training and self.location_mixer.trainable,
        )
        return {"features": features, "located": located}

    def integrate(self, features, location, state, training=False):
        hidden, _ = self.core(features["located"], [state["hidden"]])
        starts = ops.cast(self._first_pixels(location), "float32")
        row_column = ops.cast(ops.round(starts / self.stride), "int32")
        cell = row_column[..., 0] * self.grid[1] + row_column[..., 1]
        newly = ops.cast(ops.one_hot(cell, self.num_cells), "bool")
        return {
            "hidden": hidden,
            "seen": ops.logical_or(state["seen"], newly),
            "features": features["features"],
            "cell": cell,
        }

    def read(self, hidden, training=False, seed=None, imagine=False, noise=None):
        """Reads hidden states `(batch, time, units)`.

        Args:
            hidden: Tensor `(batch, time, units)`.
            training: Boolean.
            seed: Int32 tensor `(2,)`, or `None` where nothing is drawn.
            imagine: Boolean. Also draw from the posterior after each glimpse.
            noise: Tensor `(batch, time, samples, latent_units)` or `None`. Standard
                normal draws to use instead.

        Returns:
            Dictionary of `(batch, time, ...)` tensors: `logits`; if imagined, with an
            axis of the imagined steps instead, what `imagine` returns, of one sample,
            without the axis of samples, `log_variance` and `imagined_at`, the index of
            the glimpse it was imagined after.
        """
        batch_size, steps, units = ops.shape(hidden)
        classified = hidden
        if training and self.classifier.trainable and self.dropout:
            classified = random.dropout(hidden, self.dropout, random.fold_in(seed, -1))
        logits = self.classifier(ops.reshape(classified, (-1, units)))
        read = {"logits": ops.reshape(logits, (batch_size, steps, self.num_classes))}
        if not imagine:
            return read
        if noise is None:
            shape = (batch_size, 1, self.latent_units)
            # The draws of a policy that planned ahead from the same seed.
            seeds = random.rollout_seeds(seed, steps).decide
            draws = [random.normal(shape, each) for each in seeds]
            noise = ops.stack(draws, axis=1)
        times = ops.broadcast_to(ops.arange(steps), (batch_size, steps))
        if training and (self.imagined_steps or steps) < steps:
            order = random.uniform((batch_size, steps), random.fold_in(seed, -2))
            times = tf.math.top_k(order, self.imagined_steps).indices
            # A product with zeros and ones: its gradient is one too, and not a scatter.
            chosen = ops.one_hot(times, steps, dtype=hidden.dtype)
            hidden = ops.einsum("bkt,btu->bku", chosen, hidden)
            noise = ops.einsum("bkt,btsz->bksz", ops.cast(chosen, noise.dtype), noise)
        imagined = self.imagine(hidden, noise)
        imagined = {name: value[:, :, 0] for name, value in imagined.items()}
        variance = ops.reshape(self.partial_vae.log_variance, (-1,))
        shape = (*ops.shape(times), variance.shape[0])  # One, or one a channel.
        return {
            **read,
            **imagined,
            "imagined_at": times,
            "log_variance": ops.broadcast_to(variance, shape),
        }

    def imagine(self, hidden, noise):
        """Imagines the features of all cells from what was seen.

        Args:
            hidden: Tensor `(..., hidden_units)`.
            noise: Tensor `(..., samples, latent_units)`, standard normal draws.

        Returns:
            Dictionary: `imagined` `(..., samples, cells, feature_units)`; `latents`
            `(..., samples, latent_units)`; `log_q` and `log_prior` `(..., samples)`,
            densities of the latents in nats.
        """
        return self.partial_vae(hidden, noise)

    def draw_features(self, imagined, seed):
        """Draws features from the likelihood that `imagined` features are the means of.

        Each cell has noise of its own. One draw for all cells of an image ranks them
        by what they promise alone, and then overlapping places are looked at in turn
        (`configs/NOTES.md`).

        Args:
            imagined: Tensor `(batch, ..., feature_units)`.
            seed: Int32 tensor `(2,)`, or `(batch, 2)`.

        Returns:
            A tensor like `imagined`.
        """
        # A shape of one, too, where all features share a variance.
        variance = ops.exp(ops.reshape(self.partial_vae.log_variance, (-1,)))
        noise = random.normal(ops.shape(imagined), seed)
        return imagined + ops.cast(ops.sqrt(variance) * noise, imagined.dtype)

    def true_features(self, context):
        """Features of all cells as they are, `(batch, cells, feature_units)`."""
        batch_size = ops.shape(context["images"])[0]
        starts = ops.broadcast_to(self.cell_starts, (batch_size, self.num_cells, 2))
        patches = cut_patches(context["images"], starts, self.glimpse_size)
        return self.patch_encoder(_centered(patches), training=False)

    def lookahead(self, state, features):
        """Logits after looking once more, in inference mode.

        Args:
            state: The state before that look.
            features: Tensor `(batch, samples, cells, feature_units)`.

        Returns:
            lookahead: `(batch, samples, cells, classes)`.
            belief: `(batch, classes)`, the logits now.
        """
        batch_size, samples, cells, _ = ops.shape(features)
        located = self.location_mixer(features, self._places(self.cell_starts))
        hidden, _ = self.core(
            ops.reshape(located, (batch_size, samples * cells, self.feature_units)),
            [state["hidden"][:, None]],
        )
        logits = self.classifier(ops.reshape(hidden, (-1, self.hidden_units)))
        shape = (batch_size, samples, cells, self.num_classes)
        return ops.reshape(logits, shape), self.classifier(state["hidden"])

    def glimpse_boxes(self, locations, image_size):
        starts = self._first_pixels(ops.convert_to_tensor(locations))
        box = ops.concatenate([starts, starts + self.glimpse_size], axis=-1)
        return box[..., None, :]

    def initialize(self, images, policy, num_glimpses, seed):
        """Initialises flow and variance from a first batch, once, whoever asks.

        Args:
            images: Tensor `(batch, height, width, channels)`.
            policy: Where to look.
            num_glimpses: Int.
            seed: Int32 tensor `(2,)`.
        """
        if not self.partial_vae.trainable or self.partial_vae.initialized:
            return
        looked = self(images, policy=policy, num_glimpses=num_glimpses, seed=seed)
        hidden = ops.reshape(looked.hidden, (-1, self.hidden_units))
        shape = (len(hidden), 1, self.latent_units)
        noise = random.normal(shape, random.fold_in(seed, 0))
        features = ops.reshape(looked.extras["features"], (-1, self.feature_units))
        self.partial_vae.initialize(hidden, noise, features)

    def _first_pixels(self, locations):
        """(row, column) of the first pixel at locations (x, y), inside the image."""
        unit = (ops.flip(ops.cast(locations, "float32"), axis=-1) + 1.0) / 2.0
        room = ops.convert_to_tensor(self.room, dtype="float32")
        starts = ops.cast(ops.floor(unit * room), "int32")
        return ops.clip(starts, 0, ops.cast(room, "int32") - 1)

    def _places(self, starts):
        """What the network is told of where a patch begins: (row, column)."""
        return 2.0 * ops.cast(starts, "float32") / self.room.astype("float32") - 1.0

    def get_config(self):
        names = (
            "num_classes",
            "glimpse_size",
            "feature_units",
            "latent_units",
            "hidden_units",
            "num_flows",
            "dropout",
            "channel_variance",
            "imagined_steps",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _centered(pixels):
    """Bytes, or floats in [0, 1], to [-1, 1]."""
    scale = 2.0 if keras.backend.is_float_dtype(pixels.dtype) else 2.0 / 255.0
    return scale * ops.cast(pixels, "float32") - 1.0
