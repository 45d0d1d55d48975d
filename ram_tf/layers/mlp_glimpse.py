import keras
from keras import ops


@keras.saving.register_keras_serializable(package="ram_tf")
class MlpGlimpse(keras.layers.Layer):
    """Mixes what was seen with where it was seen: two dense paths, added or multiplied.

    relu(W3 relu(W1 glimpse) + W4 relu(W2 location)), or, as a product,
    relu(W3 relu(W1 glimpse)) * relu(W4 relu(W2 location)).

    Args:
        glimpse_units: Int. Width of the first layer on pixels.
        location_units: Int. Width of the first layer on locations.
        units: Int. Width of the output.
        product: Boolean. Multiply what by where, each rectified, instead of adding.

    Call arguments:
        glimpses: Tensor `(..., scales, size, size, channels)`.
        locations: Tensor `(..., 2)`, (x, y) in [-1, 1], or (x, y, z) with a zoom.

    Returns:
        Features `(..., units)`.

    Reference:
        [Mnih et al., 2014](https://arxiv.org/abs/1406.6247), section 4, "Glimpse
        network"; the product, [Ba et al., 2015](https://arxiv.org/abs/1412.7755),
        section 3.
    """

    def __init__(
        self,
        glimpse_units=128,
        location_units=128,
        units=256,
        product=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.glimpse_units = glimpse_units
        self.location_units = location_units
        self.units = units
        self.product = product
        dense = {"dtype": self.dtype_policy}
        self.glimpse_hidden = keras.layers.Dense(
            glimpse_units, activation="relu", name="glimpse_hidden", **dense
        )
        self.location_hidden = keras.layers.Dense(
            location_units, activation="relu", name="location_hidden", **dense
        )
        self.glimpse_output = keras.layers.Dense(units, name="glimpse_output", **dense)
        # From 0, a product would be 0 in the very centre, and so would its gradient.
        self.location_output = keras.layers.Dense(
            units,
            name="location_output",
            bias_initializer="ones" if product else "zeros",
            **dense,
        )

    def build(self, glimpses_shape, locations_shape):
        pixels = 1
        for size in glimpses_shape[-4:]:
            pixels *= size
        self.glimpse_hidden.build((None, pixels))
        self.location_hidden.build((None, locations_shape[-1]))
        self.glimpse_output.build((None, self.glimpse_units))
        self.location_output.build((None, self.location_units))
        self.built = True

    def call(self, glimpses, locations):
        # Matrices, not stacks of them: one product for all glimpses.
        pixels = ops.reshape(glimpses, (-1, self.glimpse_hidden.kernel.shape[0]))
        places = ops.reshape(locations, (-1, locations.shape[-1]))
        what = self.glimpse_output(self.glimpse_hidden(pixels))
        where = self.location_output(self.location_hidden(places))
        if self.product:
            features = ops.relu(what) * ops.relu(where)
        else:
            features = ops.relu(what + where)
        return ops.reshape(features, (*ops.shape(locations)[:-1], self.units))

    def compute_output_shape(self, glimpses_shape, locations_shape):
        return (*locations_shape[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "glimpse_units": self.glimpse_units,
            "location_units": self.location_units,
            "units": self.units,
            "product": self.product,
        }
