import keras
from keras import ops

from ram_tf.layers.matmul_convolution import MatmulConvolution

LEAK = 0.01
BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5, "synchronized": True}


@keras.saving.register_keras_serializable(package="ram_tf")
class PatchEncoder(keras.layers.Layer):
    """Features of patches by valid convolutions, down to a single place.

    3x3 convolutions of 64, 128, 256, 256 ... channels, each followed by a leaky ReLU
    and batch normalisation, until 2x2 places are left, and a linear 2x2 convolution:
    three 3x3 ones for patches of 8x8, seven for 16x16.

    Args:
        units: Int. Width of the features.

    Call arguments:
        patches: Tensor `(..., side, side, channels)`, `side` even and at least 4.
        training: Boolean. Normalise by the batch's statistics.

    Returns:
        Features `(..., units)`.

    Reference:
        [Rangrej and Clark, 2021](https://arxiv.org/abs/2111.07534), section 4.
    """

    def __init__(self, units=128, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.convolutions = []
        self.norms = []
        self.output_map = MatmulConvolution(
            units, 2, dtype=self.dtype_policy, name="output_map"
        )

    def build(self, input_shape):
        side, columns, channels = input_shape[-3:]
        if side != columns or side % 2 or side < 4:
            raise ValueError(
                "patches must be square, with an even side of at least 4. Received: "
                f"{side}x{columns}."
            )
        for index in range((side - 2) // 2):
            convolution = MatmulConvolution(
                min(64 * 2**index, 256),
                3,
                dtype=self.dtype_policy,
                name=f"convolution_{index}",
            )
            norm = keras.layers.BatchNormalization(
                dtype=self.dtype_policy, name=f"norm_{index}", **BATCH_NORM
            )
            side -= 2
            convolution.build((None, side + 2, side + 2, channels))
            channels = convolution.filters
            norm.build((None, side, side, channels))
            self.convolutions.append(convolution)
            self.norms.append(norm)
        self.output_map.build((None, 2, 2, channels))
        self.built = True

    def call(self, patches, training=False):
        leading = ops.shape(patches)[:-3]
        x = ops.reshape(patches, (-1, *patches.shape[-3:]))
        for convolution, norm in zip(self.convolutions, self.norms):
            x = ops.leaky_relu(convolution(x), LEAK)
            x = norm(x, training=training)
        return ops.reshape(self.output_map(x), (*leading, self.units))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-3], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}
