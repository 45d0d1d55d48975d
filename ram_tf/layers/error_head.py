import keras
from keras import ops


@keras.saving.register_keras_serializable(package="ram_tf")
class ErrorHead(keras.layers.Layer):
    """Predicts the error of each class's probability, and lends it as an objective.

    The same numbers come with two gradients. `fitted` trains this layer alone: compare
    it with the error that was made. `uncertainty` trains everything but this layer:
    make it small, and the rest of the model learns to see what leaves little doubt.

    Args:
        shared: Boolean. Let the gradient of `uncertainty` reach this layer as well, as
            the published code does: it then learns to predict less than the error.

    Call arguments:
        hidden: Tensor `(..., units)`, the core's output.
        probabilities: Tensor `(..., classes)`.

    Returns:
        uncertainty: `(..., classes)`, the predicted error of each probability, >= 0.
        fitted: The same values, for fitting.

    Reference:
        Lu, 2019, *Recurrent Attention Model as Active Information Sampling*, NeurIPS
        workshop, "Self-uncertainty".
    """

    def __init__(self, shared=False, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.shared = shared

    def build(self, hidden_shape, probabilities_shape):
        units, classes = hidden_shape[-1], probabilities_shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(units + classes, classes),
            initializer="glorot_uniform",
        )
        self.bias = self.add_weight(name="bias", shape=(classes,), initializer="zeros")
        self.built = True

    def call(self, hidden, probabilities):
        dtype = self.compute_dtype
        inputs = ops.concatenate(
            [ops.cast(hidden, dtype), ops.cast(probabilities, dtype)], axis=-1
        )
        kernel, bias = map(ops.convert_to_tensor, (self.kernel, self.bias))
        fitted = _predict(ops.stop_gradient(inputs), kernel, bias)
        if not self.shared:
            kernel, bias = map(ops.stop_gradient, (kernel, bias))
        return _predict(inputs, kernel, bias), fitted

    def compute_output_shape(self, hidden_shape, probabilities_shape):
        return tuple(probabilities_shape), tuple(probabilities_shape)

    def get_config(self):
        return {**super().get_config(), "shared": self.shared}


def _predict(inputs, kernel, bias):
    return ops.relu(ops.matmul(inputs, kernel) + bias)
