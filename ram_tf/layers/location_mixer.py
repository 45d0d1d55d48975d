import keras
from keras import ops

from ram_tf.layers.patch_encoder import BATCH_NORM, LEAK


@keras.saving.register_keras_serializable(package="ram_tf")
class LocationMixer(keras.layers.Layer):
    """Adds where to what: batch norm of leaky-ReLU(features + W place).

    The last step of the feature extractor, on its own because imagined features go
    through it as well as seen ones.

    Call arguments:
        features: Tensor `(..., units)`.
        places: Tensor `(..., 2)`, (row, column) in [-1, 1]; broadcast to `features`.
        training: Boolean. Normalise by the batch's statistics.

    Returns:
        Tensor `(..., units)`.

    Reference:
        [Rangrej and Clark, 2021](https://arxiv.org/abs/2111.07534), section 4.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.place_map = None
        self.norm = keras.layers.BatchNormalization(
            dtype=self.dtype_policy, name="norm", **BATCH_NORM
        )

    def build(self, features_shape, places_shape):
        units = features_shape[-1]
        self.place_map = keras.layers.Dense(
            units, dtype=self.dtype_policy, name="place_map"
        )
        self.place_map.build((None, places_shape[-1]))
        self.norm.build((None, units))
        self.built = True

    def call(self, features, places, training=False):
        mixed = ops.leaky_relu(features + self.place_map(places), LEAK)
        flat = ops.reshape(mixed, (-1, mixed.shape[-1]))
        return ops.reshape(self.norm(flat, training=training), ops.shape(mixed))

    def compute_output_shape(self, features_shape, places_shape):
        return tuple(features_shape)
