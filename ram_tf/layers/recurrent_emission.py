import keras
from keras import ops


@keras.saving.register_keras_serializable(package="ram_tf")
class RecurrentEmission(keras.layers.Layer):
    """Emits where to look next from a second recurrent network, as the paper does.

    An LSTM begins with an output that is made of the context, and takes in the core's
    output after each glimpse; the mean location is linear in its own.

    Args:
        units: Int. Width of the network.

    Call arguments:
        regions: Tensor `(batch, n * n, features)`.
        hidden: Tensor `(batch, hidden_units)`, the core's output.
        states: What the call before, or `first`, returned.

    Returns:
        mean: `(batch, 2)`, (x, y), before it is squashed.
        extras: An empty dictionary.
        states: List of tensors.

    Reference:
        [Sermanet et al., 2014](https://arxiv.org/abs/1412.7054), section 3.
    """

    def __init__(self, units=512, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.units = units
        policy = self.dtype_policy
        self.start = keras.layers.Dense(
            units, activation="tanh", dtype=policy, name="start"
        )
        self.cell = keras.layers.LSTMCell(units, dtype=policy, name="cell")
        self.mean = keras.layers.Dense(2, dtype=policy, name="mean")

    def build(self, regions_shape, hidden_shape):
        self.start.build((None, regions_shape[1] * regions_shape[2]))
        self.cell.build(hidden_shape)
        self.mean.build((None, self.units))
        self.built = True

    def first(self, regions):
        """What the call returns, before the first glimpse."""
        _, count, units = regions.shape
        output = self.start(ops.reshape(regions, (-1, count * units)))
        return self.mean(output), {}, [output, ops.zeros_like(output)]

    def call(self, regions, hidden, states):
        output, states = self.cell(hidden, states)
        return self.mean(output), {}, list(states)

    def get_config(self):
        return {**super().get_config(), "units": self.units}
