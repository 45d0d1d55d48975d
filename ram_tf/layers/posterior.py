import math

import keras
from keras import ops

from ram_tf.layers.spline_flow import SplineFlow


@keras.saving.register_keras_serializable(package="ram_tf")
class Posterior(keras.layers.Layer):
    """Turns noise into latents that explain what was seen, with their log-density.

    The recurrent state gives a Gaussian and a context; a flow under that context bends
    the Gaussian's draws. The prior is the standard normal.

    Args:
        latent_units: Int. Width of the latent vector.
        hidden_units: Int. Width of the hidden layer.
        context_units: Int. Width of the flow's context.
        num_blocks: Int >= 0. Blocks of the flow; 0 for a Gaussian posterior.

    Call arguments:
        hidden: Tensor `(..., units)`.
        noise: Tensor `(..., samples, latent_units)`, standard normal draws.

    Returns:
        latents: `(..., samples, latent_units)`.
        log_q: `(..., samples)`, log-density of `latents` under the posterior, in nats.
        log_prior: `(..., samples)`, the same under the prior.

    Reference:
        [Rangrej and Clark, 2021](https://arxiv.org/abs/2111.07534), section 3.1.
    """

    def __init__(
        self,
        latent_units,
        hidden_units,
        context_units,
        num_blocks=4,
        dtype="float32",
        **kwargs,
    ):
        super().__init__(dtype=dtype, **kwargs)
        self.latent_units = latent_units
        self.hidden_units = hidden_units
        self.context_units = context_units
        self.num_blocks = num_blocks
        options = {"dtype": self.dtype_policy}
        self.hidden = keras.layers.Dense(hidden_units, name="hidden", **options)
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-5, name="norm", **options
        )
        # A Gaussian posterior has no use for a context.
        context = context_units if num_blocks else 0
        self.output_map = keras.layers.Dense(
            context + 2 * latent_units, name="output_map", **options
        )
        self.flow = None
        if num_blocks:
            self.flow = SplineFlow(num_blocks, name="flow", **options)

    def build(self, hidden_shape, noise_shape=None):
        hidden_shape = tuple(hidden_shape)
        self.hidden.build(hidden_shape)
        hidden_shape = (*hidden_shape[:-1], self.hidden_units)
        self.norm.build(hidden_shape)
        self.output_map.build(hidden_shape)
        if self.flow is not None:
            self.flow.build(
                (*hidden_shape[:-1], None, self.latent_units),
                (*hidden_shape[:-1], 1, self.context_units),
            )
        self.built = True

    def call(self, hidden, noise):
        base, log_variance, context = self._base(hidden, noise)
        log_q = _log_normal(noise) - 0.5 * ops.sum(log_variance, axis=-1)
        latents = base
        if self.flow is not None:
            latents, log_det = self.flow(base, context)
            log_q = log_q - log_det
        return latents, log_q, _log_normal(latents)

    @property
    def initialized(self):
        """Whether the flow was initialised from data; always, if there is none."""
        return self.flow is None or bool(self.flow.initialized.numpy())

    def initialize(self, hidden, noise):
        """Initialises the flow from a batch, once: see `SplineFlow.initialize`."""
        if self.flow is not None:
            base, _, context = self._base(hidden, noise)
            self.flow.initialize(base, context)

    def _base(self, hidden, noise):
        """Returns the Gaussian's draws, its log-variance and the flow's context."""
        x = ops.leaky_relu(self.hidden(hidden), negative_slope=0.01)
        outputs = ops.expand_dims(self.output_map(self.norm(x)), axis=-2)
        ends = (-2 * self.latent_units, -self.latent_units)
        context = outputs[..., : ends[0]]
        mean = outputs[..., ends[0] : ends[1]]
        log_variance = outputs[..., ends[1] :]
        return mean + ops.exp(0.5 * log_variance) * noise, log_variance, context

    def compute_output_shape(self, hidden_shape, noise_shape):
        samples = tuple(noise_shape[:-1])
        return tuple(noise_shape), samples, samples

    def get_config(self):
        names = (
            "latent_units",
            "hidden_units",
            "context_units",
            "num_blocks",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _log_normal(x):
    """Log-density of the standard normal, summed over the last axis, in nats."""
    return -0.5 * ops.sum(ops.square(x) + math.log(2 * math.pi), axis=-1)
