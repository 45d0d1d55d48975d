import keras
from keras import ops

from ram_tf.ops import convolve


@keras.saving.register_keras_serializable(package="ram_tf")
class MatmulConvolution(keras.layers.Conv2D):
    """`keras.layers.Conv2D`, computed as a matrix product.

    XLA on a CPU compiles a convolution to a slow loop and a product to a fast one.

    It takes what `Conv2D` takes but for dilation, groups and channels before pixels.

    Args:
        filters: Int. Channels of the output.
        kernel_size: Int or tuple of two ints.
        strides: Int or tuple of two ints.
        padding: `"valid"` or `"same"`.

    Call arguments:
        inputs: Tensor `(batch, height, width, channels)`.

    Returns:
        Tensor `(batch, rows, columns, filters)`.
    """

    def build(self, input_shape):
        for name, only in (
            ("dilation_rate", (1, 1)),
            ("groups", 1),
            ("data_format", "channels_last"),
        ):
            if getattr(self, name) != only:
                raise ValueError(
                    f"`{name}` must be {only!r}: for another one take "
                    f"`keras.layers.Conv2D`. Received: {getattr(self, name)!r}."
                )
        super().build(input_shape)

    def call(self, inputs):
        kernel = ops.convert_to_tensor(self.kernel)
        outputs = convolve(inputs, kernel, self.strides, self.padding)
        if self.use_bias:
            outputs = outputs + self.bias
        return self.activation(outputs)
