import keras
from keras import ops

from ram_tf.layers.feature_decoder import FeatureDecoder
from ram_tf.layers.posterior import Posterior


@keras.saving.register_keras_serializable(package="ram_tf")
class PartialVae(keras.layers.Layer):
    """A variational autoencoder that sees a part and imagines the whole.

    The posterior reads the recurrent state, which holds what was seen; the decoder
    turns a draw into features of all cells of the grid; `log_variance` is the learned
    variance of the features around them.

    Args:
        feature_units: Int. Width of a cell's features.
        latent_units: Int. Width of the latent variable.
        grid: Tuple of ints `(rows, columns)`.
        num_flows: Int. Blocks of the posterior's flow; 0 for a Gaussian posterior.
        channel_variance: Boolean. Learn a variance for each channel of the features, or
            one for all, as published: then channels that vary much drown the others.

    Call arguments:
        hidden: Tensor `(..., units)`.
        noise: Tensor `(..., samples, latent_units)`, standard normal draws.

    Returns:
        Dictionary: `imagined` `(..., samples, cells, feature_units)`; `latents`
        `(..., samples, latent_units)`; `log_q` and `log_prior` `(..., samples)`, log
        densities of the latents under posterior and prior, in nats.

    Reference:
        [Rangrej and Clark, 2021](https://arxiv.org/abs/2111.07534), section 3.1.
    """

    def __init__(
        self,
        feature_units=128,
        latent_units=256,
        grid=(7, 7),
        num_flows=4,
        channel_variance=False,
        dtype="float32",
        **kwargs,
    ):
        super().__init__(dtype=dtype, **kwargs)
        self.feature_units = feature_units
        self.latent_units = latent_units
        self.grid = tuple(grid)
        self.num_flows = num_flows
        self.channel_variance = channel_variance
        self.posterior = None
        self.decoder = FeatureDecoder(feature_units, self.grid, name="decoder")

    def build(self, hidden_shape, noise_shape=None):
        units = hidden_shape[-1]
        self.posterior = Posterior(
            self.latent_units,
            units,
            self.feature_units,
            num_blocks=self.num_flows,
            name="posterior",
        )
        self.posterior.build((None, units))
        self.decoder.build((None, self.latent_units))
        shape = (self.feature_units,) if self.channel_variance else ()
        self.log_variance = self.add_weight(
            name="log_variance", shape=shape, initializer="zeros"
        )
        self.built = True

    def call(self, hidden, noise):
        latents, log_q, log_prior = self.posterior(hidden, noise)
        leading = ops.shape(latents)[:-1]
        features = self.decoder(ops.reshape(latents, (-1, self.latent_units)))
        return {
            "imagined": ops.reshape(features, (*leading, *features.shape[1:])),
            "latents": latents,
            "log_q": log_q,
            "log_prior": log_prior,
        }

    @property
    def initialized(self):
        """Whether the flow and the variance were initialised from data."""
        return self.posterior.initialized and self._variance_is_set

    @property
    def _variance_is_set(self):
        return bool((self.log_variance.numpy() != 0.0).any())

    def initialize(self, hidden, noise, features):
        """Initialises the flow and the variance from a first batch, each once.

        The variance starts as that of the features, where a decoder that knows nothing
        is calibrated. From 0 it takes tens of thousands of steps to get there, and
        imagines too little variety until then.

        Args:
            hidden: Tensor `(batch, units)`.
            noise: Tensor `(batch, samples, latent_units)`, standard normal draws.
            features: Tensor `(batch, feature_units)`, seen features.
        """
        self.posterior.initialize(hidden, noise)
        if not self._variance_is_set:
            variance = ops.var(ops.cast(features, "float32"), axis=0)
            if not self.channel_variance:
                variance = ops.mean(variance)
            self.log_variance.assign(ops.log(variance + 1e-6))

    def get_config(self):
        names = (
            "feature_units",
            "latent_units",
            "grid",
            "num_flows",
            "channel_variance",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
