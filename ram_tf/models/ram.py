import keras
from keras import ops

from ram_tf import layers
from ram_tf.models.attention_model import AttentionModel
from ram_tf.models.parts import CORES, make_part

GLIMPSE_NETWORKS = {"mlp": layers.MlpGlimpse, "conv": layers.ConvGlimpse}


@keras.saving.register_keras_serializable(package="ram_tf")
class RAM(AttentionModel):
    """The recurrent attention model.

    Its parts are Keras layers and can be replaced one by one; a core is any Keras RNN
    cell whose output is its first state.

    Args:
        num_classes: Int >= 2.
        retina: Layer `(images, locations) -> glimpses`.
        glimpse_network: Layer `(glimpses, locations) -> features`.
        core: RNN cell `(features, states) -> hidden, states`.
        location: Layer `hidden -> location, log_prob`; policies call it.
        baseline: Layer `hidden -> values`.

    Reference:
        [Mnih et al., 2014](https://arxiv.org/abs/1406.6247), section 3.1.
    """

    parts = ("retina", "glimpse_network", "core", "location", "baseline")

    def __init__(
        self,
        num_classes,
        retina=None,
        glimpse_network=None,
        core=None,
        location=None,
        baseline=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_classes < 2:
            raise ValueError(
                f"`num_classes` must be at least 2. Received: {num_classes}"
            )
        self.num_classes = num_classes
        self.retina = retina or layers.Retina()
        self.glimpse_network = glimpse_network or layers.MlpGlimpse()
        self.core = core or layers.RectifierCell()
        self.location = location or layers.GaussianLocation()
        self.baseline = baseline or layers.ValueBaseline()
        self.classifier = keras.layers.Dense(
            num_classes, dtype="float32", name="classifier"
        )

    @classmethod
    def from_options(
        cls,
        num_classes,
        *,
        retina,
        glimpse_network,
        core,
        location,
        baseline,
        **more,
    ):
        """Builds the model from plain dictionaries, as a config file gives them.

        `glimpse_network` and `core` name theirs under `kind`.
        """
        return cls(
            num_classes,
            retina=layers.Retina(**retina),
            glimpse_network=make_part(
                GLIMPSE_NETWORKS, "glimpse_network", glimpse_network
            ),
            core=make_part(CORES, "core", core),
            location=layers.GaussianLocation(**location),
            baseline=layers.ValueBaseline(**baseline),
            **more,
        )

    @property
    def glimpse_sides(self):
        return self.retina.patch_sides

    @property
    def senses_noise(self):
        return self.retina.padding != "zeros"

    def build(self, input_shape):
        glimpses_shape = self.retina.compute_output_shape(input_shape, (None, 2))
        features_shape = self.glimpse_network.compute_output_shape(
            glimpses_shape, (None, 2)
        )
        hidden_shape = (None, self.core.output_size)
        for layer, *shapes in (
            (self.retina, input_shape, (None, 2)),
            (self.glimpse_network, glimpses_shape, (None, 2)),
            (self.core, features_shape),
            (self.location, hidden_shape),
            (self.baseline, hidden_shape),
            (self.classifier, hidden_shape),
        ):
            if not layer.built:  # A part that was given may be built already.
                layer.build(*shapes)
        self.built = True

    def begin(self, context, num_glimpses):
        sums = self.retina.summarize(context["images"], num_glimpses)
        return {**context, "sums": sums}

    def initial_state(self, context):
        batch_size = ops.shape(context["images"])[0]
        states = self.core.get_initial_state(batch_size=batch_size)
        states = list(states) if isinstance(states, (list, tuple)) else [states]
        return {"core": states, "hidden": states[0]}

    def sense(self, context, locations, seed=None):
        return self.retina(
            context["images"], locations, seed=seed, sums=context.get("sums")
        )

    def normalize(self, pixels):
        retina = self.retina
        return (pixels - retina.pixel_mean) / retina.pixel_stddev

    def denormalize(self, glimpses):
        return glimpses * self.retina.pixel_stddev + self.retina.pixel_mean

    def encode(self, glimpses, locations, training=False):
        return self.glimpse_network(glimpses, locations)

    def integrate(self, features, location, state, training=False):
        hidden, states = self.core(features, state["core"], training=training)
        states = list(states) if isinstance(states, (list, tuple)) else [states]
        return {"core": states, "hidden": hidden}

    def read(self, hidden, training=False, seed=None, classify_last=None):
        """Reads hidden states: see `AttentionModel.read`.

        Args:
            hidden: Tensor `(batch, time, units)`.
            training: Boolean.
            seed: Not used.
            classify_last: Int or `None`. Logits of only so many last steps.

        Returns:
            `{"logits": (batch, time, classes), "baselines": (batch, time)}`.
        """
        steps, units = hidden.shape[1:]
        classified = hidden[:, -(classify_last or steps) :]
        # Matrices, not stacks of them, which XLA transposes in the backward pass.
        logits = self.classifier(ops.reshape(classified, (-1, units)))
        baselines = self.baseline(ops.reshape(hidden, (-1, units)))
        return {
            "logits": ops.reshape(logits, (-1, classified.shape[1], self.num_classes)),
            "baselines": ops.reshape(baselines, (-1, steps)),
        }

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}
