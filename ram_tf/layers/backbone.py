import keras
from keras import ops

from ram_tf.errors import InputError

_APPLICATIONS = keras.applications
# How to build one, and what turns pixels in [0, 255] into what it takes.
BACKBONES = {
    "efficientnet_v2_b0": (_APPLICATIONS.EfficientNetV2B0, None),
    "mobilenet_v3_small": (_APPLICATIONS.MobileNetV3Small, None),
    "resnet50": (_APPLICATIONS.ResNet50, _APPLICATIONS.resnet50.preprocess_input),
}


@keras.saving.register_keras_serializable(package="ram_tf")
class Backbone(keras.layers.Layer):
    """A convolutional network of `keras.applications`, without its classifier.

    Its batch normalisation takes the statistics of all replicas, and its own dropout is
    off: what is drawn in training must come from the step's seed.

    Args:
        kind: A key of `BACKBONES`.
        stride_one: Boolean. The published change for small images: a first convolution
            of 5x5 pixels with stride 1 in place of ResNet-50's 7x7 with stride 2.
        norm_momentum: Float or `None`. Momentum of the batch normalisation's averages;
            `None` leaves the application's own, up to 0.999, which is too slow for a
            training of some hundred steps.

    Call arguments:
        images: Tensor `(batch, side, side, channels)`, float in [0, 1], grey or colour.
        training: Boolean. Whether batch statistics are taken.

    Returns:
        Features `(batch, rows, columns, units)`.

    Reference:
        [Sermanet et al., 2014](https://arxiv.org/abs/1412.7054), section 3.
    """

    def __init__(self, kind="resnet50", stride_one=False, norm_momentum=None, **kwargs):
        super().__init__(**kwargs)
        if kind not in BACKBONES:
            raise ValueError(
                f"`kind` must be one of {sorted(BACKBONES)}. Received: {kind!r}."
            )
        if stride_one and kind != "resnet50":
            raise ValueError(
                f"`stride_one` is a change of resnet50. Received: kind={kind!r}."
            )
        self.kind = kind
        self.stride_one = stride_one
        self.norm_momentum = norm_momentum
        self.network = None

    def build(self, input_shape):
        if self.network is None:
            self.network = self._make(input_shape, weights=None)
        self.units = self.network.output_shape[-1]
        self.built = True

    def call(self, images, training=False):
        if images.shape[-1] == 1:
            images = ops.repeat(images, 3, axis=-1)
        _, preprocess = BACKBONES[self.kind]
        pixels = 255.0 * images
        if preprocess is not None:
            pixels = preprocess(pixels)
        return self.network(pixels, training=training)

    def load_pretrained(self, source):
        """Loads weights of the same network, but of a first convolution that differs.

        Args:
            source: `"imagenet"`, which is downloaded, or the path of a Keras weights
                file of the application without its classifier.
        """
        try:
            if source == "imagenet":
                given = self._make(self.network.input_shape, "imagenet", own=False)
            else:
                given = self._make(self.network.input_shape, None, own=False)
                given.load_weights(source)
        except Exception as error:  # Whatever a download or a file may raise.
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(
                f"no weights of {self.kind} in {source!r}: "
                f"{reason}. Expected 'imagenet' where "
                "there is a network, the path of a Keras .weights.h5 file without the "
                "top, or a workdir."
            ) from error
        for layer in given.layers:
            if layer.weights:
                own = self.network.get_layer(layer.name)
                shapes = [weight.shape for weight in own.weights]
                if shapes == [weight.shape for weight in layer.weights]:
                    own.set_weights(layer.get_weights())

    def _make(self, input_shape, weights, own=True):
        """Builds the application, or our version of it."""
        make, _ = BACKBONES[self.kind]
        network = make(
            include_top=False, weights=weights, input_shape=(*input_shape[1:3], 3)
        )
        if own:
            network = keras.models.clone_model(network, clone_function=self._own)
        return network

    def _own(self, layer):
        config = layer.get_config()
        if isinstance(layer, keras.layers.BatchNormalization):
            config["synchronized"] = True
            if self.norm_momentum is not None:
                config["momentum"] = self.norm_momentum
        elif isinstance(layer, keras.layers.Dropout):
            config["rate"] = 0.0
        elif self.stride_one and layer.name == "conv1_pad":
            config["padding"] = ((2, 2), (2, 2))
        elif self.stride_one and layer.name == "conv1_conv":
            config |= {"kernel_size": (5, 5), "strides": (1, 1)}
        return type(layer).from_config(config)

    def compute_output_shape(self, input_shape):
        if self.network is None:
            self.build(input_shape)
        return (input_shape[0], *self.network.output_shape[1:])

    def get_config(self):
        return {
            **super().get_config(),
            "kind": self.kind,
            "stride_one": self.stride_one,
            "norm_momentum": self.norm_momentum,
        }
