import keras
from keras import ops

from ram_tf.layers.patch_encoder import LEAK


@keras.saving.register_keras_serializable(package="ram_tf")
class LayerNormCell(keras.layers.Layer):
    """A recurrent core with layer normalisation, a Keras RNN cell.

    LayerNorm(leaky-ReLU(W_x x + b_x + W_h h + b_h)).

    Args:
        units: Int. Width of the state.

    Call arguments:
        inputs: Tensor `(batch, features)`, or `(batch, many, features)` with a state
            `(batch, 1, units)` to look ahead from one state in many ways.
        states: The one-element sequence `[hidden]`, `(batch, units)`.

    Returns:
        output: `(batch, units)`.
        states: `[output]`.

    Reference:
        [Rangrej and Clark, 2021](https://arxiv.org/abs/2111.07534), section 4.
    """

    def __init__(self, units=512, **kwargs):
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
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-5, dtype=self.dtype_policy, name="norm"
        )

    def build(self, input_shape):
        self.input_map.build(input_shape)
        self.hidden_map.build((None, self.units))
        self.norm.build((None, self.units))
        self.built = True

    def call(self, inputs, states, training=False):
        mixed = self.input_map(inputs) + self.hidden_map(states[0])
        output = self.norm(ops.leaky_relu(mixed, LEAK))
        return output, [output]

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype)]

    def get_config(self):
        return {**super().get_config(), "units": self.units}
