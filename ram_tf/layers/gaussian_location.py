import keras
from keras import ops

from ram_tf import random
from ram_tf.ops import clip_locations, normal_log_prob

BOUNDS = {"tanh": ops.tanh, "clip": clip_locations}


@keras.saving.register_keras_serializable(package="ram_tf")
class GaussianLocation(keras.layers.Layer):
    """Chooses the next location from a Gaussian around a learned mean.

    Training samples and stops the gradient at the sample, so the only path back to this
    layer is the returned log-probability (the score-function estimator), and that path
    ends at the input unless `detach_inputs` is false. Inference returns the mean.

    Args:
        stddev: Float > 0, or one for each coordinate. Standard deviation, in units of
            normalised image coordinates.
        hidden_units: Int or `None`. Width of a ReLU layer before the mean, none for the
            one-layer head.
        bound: `"tanh"` or `"clip"`. How the mean is kept in [-1, 1].
        mean_scale: Float > 0. Factor of the mean, before its bound. An optimizer that
            moves all weights alike, as Adam does, lets the mean of a head of scale 1
            walk to the image's edges before there is anything to learn from.
        detach_inputs: Boolean. Stop the gradient at the input, as published.
        num_coordinates: Int. 2, or 3 where a scale is decided too (`Retina.zoom`).
        seed: Int or `None`. Seed of the layer's own random stream.

    Call arguments:
        hidden: Tensor `(batch, units)`, the core's output.
        training: Boolean. Sample when true, return the mean when false.
        seed: Int32 tensor `(2,)` or `None`. Replaces the layer's own random stream.
        noise: Tensor as `location`, or `None`. A standard normal draw to use instead.

    Returns:
        location: `(batch, num_coordinates)`, (x, y) or (x, y, z), before clipping to
            the image.
        log_prob: `(batch,)`, log-density of `location`, in nats.

    Reference:
        [Mnih et al., 2014](https://arxiv.org/abs/1406.6247), section 3.1, "Actions".
    """

    def __init__(
        self,
        stddev=0.1,
        hidden_units=None,
        bound="tanh",
        mean_scale=1.0,
        detach_inputs=True,
        num_coordinates=2,
        seed=None,
        dtype="float32",
        **kwargs,
    ):
        super().__init__(dtype=dtype, **kwargs)
        single = isinstance(stddev, (int, float))
        if min((stddev,) if single else tuple(stddev)) <= 0:
            raise ValueError(f"`stddev` must be positive. Received: stddev={stddev}.")
        if not single and len(stddev) != num_coordinates:
            raise ValueError(
                "`stddev` must be a number, or one for each of the coordinates. "
                f"Received: stddev={stddev}, num_coordinates={num_coordinates}."
            )
        if bound not in BOUNDS:
            raise ValueError(
                f"`bound` must be one of {sorted(BOUNDS)}. Received: {bound!r}."
            )
        if mean_scale <= 0:
            raise ValueError(
                f"`mean_scale` must be positive. Received: mean_scale={mean_scale}."
            )
        self.stddev = stddev if single else tuple(stddev)
        self.hidden_units = hidden_units
        self.bound = bound
        self.mean_scale = mean_scale
        self.detach_inputs = detach_inputs
        self.num_coordinates = num_coordinates
        self.seed = seed
        self.seed_generator = random.ReplicaSeedGenerator(seed)
        self.hidden = None
        if hidden_units:
            self.hidden = keras.layers.Dense(
                hidden_units, activation="relu", dtype=self.dtype_policy, name="hidden"
            )
        self.mean = keras.layers.Dense(
            num_coordinates, dtype=self.dtype_policy, name="mean"
        )

    def build(self, input_shape):
        if self.hidden is not None:
            self.hidden.build(input_shape)
            input_shape = (*input_shape[:-1], self.hidden_units)
        self.mean.build(input_shape)
        self.built = True

    def aim(self, hidden):
        """The mean alone, as `location`, through which a gradient passes."""
        x = ops.stop_gradient(hidden) if self.detach_inputs else hidden
        raw = self.mean(x if self.hidden is None else self.hidden(x))
        return BOUNDS[self.bound](self.mean_scale * raw)

    def call(self, hidden, training=False, seed=None, noise=None):
        mean = location = self.aim(hidden)
        stddev = self.stddev
        if isinstance(stddev, tuple):
            stddev = ops.convert_to_tensor(stddev, dtype=mean.dtype)
        if training:
            if noise is None:
                seed = self.seed_generator.next() if seed is None else seed
                noise = random.normal(ops.shape(mean), seed)
            location = mean + stddev * noise
        location = ops.stop_gradient(location)
        return location, normal_log_prob(location, mean, stddev)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.num_coordinates), tuple(input_shape[:-1])

    def get_config(self):
        return {
            **super().get_config(),
            "stddev": self.stddev,
            "hidden_units": self.hidden_units,
            "bound": self.bound,
            "mean_scale": self.mean_scale,
            "detach_inputs": self.detach_inputs,
            "num_coordinates": self.num_coordinates,
            "seed": self.seed,
        }
