import keras
from keras import ops


@keras.saving.register_keras_serializable(package="ram_tf")
class PoolingCell(keras.layers.Layer):
    """A core that keeps the largest of every feature it has seen, a Keras RNN cell.

    p_t = max(p_{t-1}, relu(W_i x_t + b_i)), h_t = relu(W_h p_t + b_h). The order of
    the inputs does not count, and one that comes again changes nothing: the state
    settles however long it goes on, where that of a trained recurrence drifts.

    Args:
        units: Int. Width of the output and of what is kept.

    Call arguments:
        inputs: Tensor `(batch, features)`.
        states: The sequence `[hidden, pooled]`, `(batch, units)` each.

    Returns:
        output: `(batch, units)`.
        states: `[output, pooled]`.

    Reference:
        [Qi et al., 2017](https://arxiv.org/abs/1612.00593), section 4.2, for point
        clouds.
    """

    def __init__(self, units=256, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = [units, units]
        self.output_size = units
        dense = {"activation": "relu", "dtype": self.dtype_policy}
        self.input_map = keras.layers.Dense(units, name="input_map", **dense)
        self.hidden_map = keras.layers.Dense(units, name="hidden_map", **dense)

    def build(self, input_shape):
        self.input_map.build(input_shape)
        self.hidden_map.build((None, self.units))
        self.built = True

    def call(self, inputs, states, training=False):
        pooled = ops.maximum(states[1], self.input_map(inputs))
        output = self.hidden_map(pooled)
        return output, [output, pooled]

    def get_initial_state(self, batch_size=None):
        zeros = ops.zeros((batch_size, self.units), dtype=self.compute_dtype)
        return [zeros, zeros]

    def get_config(self):
        return {**super().get_config(), "units": self.units}
