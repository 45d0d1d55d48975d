import keras
from keras import ops


@keras.saving.register_keras_serializable(package="ram_tf")
class RectifierCell(keras.layers.Layer):
    """The core of the recurrent attention model, a Keras RNN cell.

    relu(W_i x + b_i + W_h h + b_h). Both biases are there, as published; they add up
    to one.

    Args:
        units: Int. Width of the state.

    Call arguments:
        inputs: Tensor `(batch, features)`.
        states: The one-element sequence `[hidden]`, `(batch, units)`.

    Returns:
        output: `(batch, units)`.
        states: `[output]`.

    Reference:
        [Mnih et al., 2014](https://arxiv.org/abs/1406.6247), section 4, "Core network".
    """

    def __init__(self, units=256, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = units
        self.output_size = units
        self.input_map = keras.layers.Dense(
            units, dtype=self.dtype_policy, name="input_map"
        )
        self.hidden_map = keras.layers.Dense(
            units, dtype=self.dtype_policy, name="hidden_map"
        )

    def build(self, input_shape):
        self.input_map.build(input_shape)
        self.hidden_map.build((None, self.units))
        self.built = True

    def call(self, inputs, states, training=False):
        output = ops.relu(self.input_map(inputs) + self.hidden_map(states[0]))
        return output, [output]

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype)]

    def get_config(self):
        return {**super().get_config(), "units": self.units}
