import keras
from keras import ops


@keras.saving.register_keras_serializable(package="ram_tf")
class ValueBaseline(keras.layers.Layer):
    """Predicts the return from the core's state, to lower REINFORCE's variance.

    Args:
        activation: Keras activation or `None`.
        detach_inputs: Boolean. Stop the gradient at the input, as published, so that
            the baseline's error trains nothing else.

    Call arguments:
        hidden: Tensor `(..., units)`.

    Returns:
        Values `(...)`, in units of the return.

    Reference:
        [Mnih et al., 2014](https://arxiv.org/abs/1406.6247), section 3.2.
    """

    def __init__(self, activation=None, detach_inputs=True, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.activation = keras.activations.get(activation)
        self.detach_inputs = detach_inputs
        self.value = keras.layers.Dense(
            1, activation=self.activation, dtype=self.dtype_policy, name="value"
        )

    def build(self, input_shape):
        self.value.build(input_shape)
        self.built = True

    def call(self, hidden):
        x = ops.stop_gradient(hidden) if self.detach_inputs else hidden
        return ops.squeeze(self.value(x), axis=-1)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[:-1])

    def get_config(self):
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "detach_inputs": self.detach_inputs,
        }
