import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="ram_tf")
class AttentionEmission(keras.layers.Layer):
    """Emits where to look next from weights of the regions of a context.

    The weights are a softmax over regions: of a linear map of each (a 1x1 convolution)
    before the first glimpse, of w * tanh(V context + G hidden) later. The mean location
    is the weighted mean of the regions' places, which span [-1, 1]: all weight on one
    corner region gives that corner, and 2x2 regions give (right - left, bottom - top).

    Args:
        units: Int. Width of the attention.

    Call arguments:
        regions: Tensor `(batch, n * n, features)`, row by row, n >= 2.
        hidden: Tensor `(batch, hidden_units)`, the core's output.
        states: What the call before, or `first`, returned: an empty list.

    Returns:
        mean: `(batch, 2)`, (x, y), before it is squashed.
        extras: `{"region_weights": (batch, n * n)}`.
        states: List of tensors.

    Reference:
        [Sermanet et al., 2014](https://arxiv.org/abs/1412.7054), section 3, with soft
        attention in place of its emission network.
    """

    def __init__(self, units=256, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.units = units
        policy = self.dtype_policy
        self.first_score = keras.layers.Dense(1, dtype=policy, name="first_score")
        self.context = keras.layers.Dense(units, dtype=policy, name="context")
        self.hidden = keras.layers.Dense(
            units, use_bias=False, dtype=policy, name="hidden"
        )
        self.score = keras.layers.Dense(1, use_bias=False, dtype=policy, name="score")

    def build(self, regions_shape, hidden_shape):
        side = round(regions_shape[1] ** 0.5)
        if side**2 != regions_shape[1] or side < 2:
            raise ValueError(
                "The regions must be n * n of them, n at least 2. Received: "
                f"{regions_shape}."
            )
        along = np.linspace(-1.0, 1.0, side)
        rows, columns = np.meshgrid(along, along, indexing="ij")
        self.places = np.stack([columns, rows], axis=-1).reshape(-1, 2)
        self.first_score.build(regions_shape)
        self.context.build(regions_shape)
        self.hidden.build(hidden_shape)
        self.score.build((None, self.units))
        self.built = True

    def first(self, regions):
        """What the call returns, before the first glimpse."""
        return self._weigh(self.first_score(regions))

    def call(self, regions, hidden, states=()):
        mixed = self.context(regions) + self.hidden(hidden)[:, None]
        return self._weigh(self.score(ops.tanh(mixed)))

    def _weigh(self, scores):
        weights = ops.softmax(scores[..., 0], axis=-1)
        places = ops.convert_to_tensor(self.places, weights.dtype)
        return ops.matmul(weights, places), {"region_weights": weights}, []

    def get_config(self):
        return {**super().get_config(), "units": self.units}
