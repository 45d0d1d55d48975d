import keras
from keras import ops

from ram_tf.ops import valid_convolution


@keras.saving.register_keras_serializable(package="ram_tf")
class MatmulConvolution(keras.layers.Conv2D):
    """`keras.layers.Conv2D`, valid and of stride one, computed as a matrix product.

    XLA on a CPU compiles a convolution to a slow loop and a product to a fast one.

    Args:
        filters: Int. Channels of the output.
        kernel_size: Int or tuple of two ints.

    Call arguments:
        inputs: Tensor `(batch, height, width, channels)`.

    Returns:
        Tensor `(batch, height - rows + 1, width - columns + 1, filters)`.
    """

    def call(self, inputs):
        outputs = valid_convolution(inputs, ops.convert_to_tensor(self.kernel))
        if self.use_bias:
            outputs = outputs + self.bias
        return self.activation(outputs)
