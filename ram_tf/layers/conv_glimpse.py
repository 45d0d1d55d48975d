import keras
from keras import ops

from ram_tf.layers.matmul_convolution import MatmulConvolution


@keras.saving.register_keras_serializable(package="ram_tf")
class ConvGlimpse(keras.layers.Layer):
    """Convolutional glimpse network: what was seen times where it was seen.

    3x3 convolutions and a dense layer read the glimpse, with its scales as channels; a
    dense layer reads the location; the two are multiplied elementwise. All have a ReLU.

    Args:
        filters: Sequence of ints. Channels of the convolutions, three as published.
        units: Int. Width of the output.
        strides: Sequence of ints, those of the convolutions.
        as_products: Boolean. Convolve by matrix products, for XLA on a CPU; false takes
            `keras.layers.Conv2D`, faster than those elsewhere.

    Call arguments:
        glimpses: Tensor `(..., scales, size, size, channels)`.
        locations: Tensor `(..., 2)`, (x, y) in [-1, 1], or (x, y, z) with a zoom.

    Returns:
        Features `(..., units)`.

    Reference:
        [Ba et al., 2015](https://arxiv.org/abs/1412.7755), section 3, "Glimpse
        network".
    """

    def __init__(
        self,
        filters=(64, 64, 128),
        units=1024,
        strides=(1, 1, 1),
        as_products=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = tuple(filters)
        self.units = units
        self.strides = tuple(strides)
        self.as_products = as_products
        convolution = MatmulConvolution if as_products else keras.layers.Conv2D
        self.convolutions = [
            convolution(
                channels,
                3,
                stride,
                padding="same",
                activation="relu",
                dtype=self.dtype_policy,
                name=f"convolution_{index}",
            )
            for index, (channels, stride) in enumerate(
                zip(self.filters, self.strides, strict=True)
            )
        ]
        dense = {"activation": "relu", "dtype": self.dtype_policy}
        self.glimpse_output = keras.layers.Dense(units, name="glimpse_output", **dense)
        # From 0, the product would be 0 in the very centre, and so would its gradient.
        self.location_output = keras.layers.Dense(
            units, name="location_output", bias_initializer="ones", **dense
        )

    def build(self, glimpses_shape, locations_shape):
        scales, height, width, channels = glimpses_shape[-4:]
        shape = (None, height, width, scales * channels)
        for convolution in self.convolutions:
            convolution.build(shape)
            shape = convolution.compute_output_shape(shape)
        self.glimpse_output.build((None, shape[1] * shape[2] * shape[3]))
        self.location_output.build((None, locations_shape[-1]))
        self.built = True

    def call(self, glimpses, locations):
        scales, height, width, channels = glimpses.shape[-4:]
        x = ops.reshape(glimpses, (-1, scales, height, width, channels))
        x = ops.reshape(
            ops.transpose(x, (0, 2, 3, 1, 4)), (-1, height, width, scales * channels)
        )
        for convolution in self.convolutions:
            x = convolution(x)
        what = self.glimpse_output(
            ops.reshape(x, (-1, self.glimpse_output.kernel.shape[0]))
        )
        where = self.location_output(ops.reshape(locations, (-1, locations.shape[-1])))
        return ops.reshape(what * where, (*ops.shape(locations)[:-1], self.units))

    def compute_output_shape(self, glimpses_shape, locations_shape):
        return (*locations_shape[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "units": self.units,
            "strides": self.strides,
            "as_products": self.as_products,
        }
