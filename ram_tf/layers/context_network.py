import keras
from keras import ops

from ram_tf.layers.matmul_convolution import MatmulConvolution


@keras.saving.register_keras_serializable(package="ram_tf")
class ContextNetwork(keras.layers.Layer):
    """Reads a coarse view of the whole image, from which the first place is decided.

    Convolutions and a dense layer, all with a ReLU. Where something is must survive:
    nothing is pooled over the image.

    Args:
        units: Int. Width of the output.
        filters: Sequence of ints. Channels of the convolutions.
        kernel_sizes: Sequence of ints, sides of their kernels.
        strides: Sequence of ints, their strides.
        as_products: Boolean. Convolve by matrix products, for XLA on a CPU; false takes
            `keras.layers.Conv2D`, faster than those elsewhere.

    Call arguments:
        overview: Tensor `(batch, side, side, channels)`.

    Returns:
        Tensor `(batch, units)`.

    Reference:
        [Ba et al., 2015](https://arxiv.org/abs/1412.7755), section 3, "Context
        network".
    """

    def __init__(
        self,
        units=256,
        filters=(32, 32),
        kernel_sizes=(5, 3),
        strides=(2, 2),
        as_products=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.filters = tuple(filters)
        self.kernel_sizes = tuple(kernel_sizes)
        self.strides = tuple(strides)
        self.as_products = as_products
        convolution = MatmulConvolution if as_products else keras.layers.Conv2D
        self.convolutions = [
            convolution(
                channels,
                kernel_size,
                stride,
                padding="same",
                activation="relu",
                dtype=self.dtype_policy,
                name=f"convolution_{index}",
            )
            for index, (channels, kernel_size, stride) in enumerate(
                zip(self.filters, self.kernel_sizes, self.strides, strict=True)
            )
        ]
        self.output_map = keras.layers.Dense(
            units, activation="relu", dtype=self.dtype_policy, name="output_map"
        )

    def build(self, input_shape):
        shape = input_shape
        for convolution in self.convolutions:
            convolution.build(shape)
            shape = convolution.compute_output_shape(shape)
        self.output_map.build((None, shape[1] * shape[2] * shape[3]))
        self.built = True

    def call(self, overview):
        x = overview
        for convolution in self.convolutions:
            x = convolution(x)
        return self.output_map(ops.reshape(x, (-1, self.output_map.kernel.shape[0])))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "filters": self.filters,
            "kernel_sizes": self.kernel_sizes,
            "strides": self.strides,
            "as_products": self.as_products,
        }
