import keras
from keras import ops

from ram_tf import layers
from ram_tf.models.parts import CORES, first_states, make_part, read_steps, run_core
from ram_tf.models.retina_model import RetinaModel

GLIMPSE_NETWORKS = {"mlp": layers.MlpGlimpse, "conv": layers.ConvGlimpse}


@keras.saving.register_keras_serializable(package="ram_tf")
class RAM(RetinaModel):
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
        self.location = location or layers.GaussianLocation(
            num_coordinates=self.num_coordinates
        )
        self.check_head()
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
        retina = layers.Retina(**retina)
        return cls(
            num_classes,
            retina=retina,
            glimpse_network=make_part(
                GLIMPSE_NETWORKS, "glimpse_network", glimpse_network
            ),
            core=make_part(CORES, "core", core),
            location=layers.GaussianLocation(
                num_coordinates=retina.num_coordinates, **location
            ),
            baseline=layers.ValueBaseline(**baseline),
            **more,
        )

    def build(self, input_shape):
        place = (None, self.num_coordinates)
        glimpses_shape = self.retina.compute_output_shape(input_shape, place)
        features_shape = self.glimpse_network.compute_output_shape(
            glimpses_shape, place
        )
        hidden_shape = (None, self.core.output_size)
        for layer, *shapes in (
            (self.retina, input_shape, place),
            (self.glimpse_network, glimpses_shape, place),
            (self.core, features_shape),
            (self.location, hidden_shape),
            (self.baseline, hidden_shape),
            (self.classifier, hidden_shape),
        ):
            if not layer.built:  # A part that was given may be built already.
                layer.build(*shapes)
        self.built = True

    def initial_state(self, context):
        batch_size = ops.shape(context["images"])[0]
        states = first_states(self.core, batch_size)
        return {"core": states, "hidden": states[0]}

    def encode(self, glimpses, locations, training=False):
        return self.glimpse_network(glimpses, locations)

    def integrate(self, features, location, state, training=False):
        hidden, states = run_core(self.core, features, state["core"], training)
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
        return read_steps(self, hidden, hidden, classify_last)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}
