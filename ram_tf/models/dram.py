import keras
from keras import ops

from ram_tf import layers
from ram_tf.models.parts import CORES, first_states, make_part, read_steps, run_core
from ram_tf.models.ram import GLIMPSE_NETWORKS
from ram_tf.models.retina_model import RetinaModel


class _TwoLayers(RetinaModel):
    """What both wirings of a recurrent core of two layers share.

    One layer classifies, the other one looks. `hidden` is their outputs side by side:
    first what is classified, then what looks, which passes no gradient back from there.
    """

    parts = ("retina", "glimpse_network", "lower", "upper", "location", "baseline")

    def __init__(
        self,
        num_classes,
        retina=None,
        glimpse_network=None,
        lower=None,
        upper=None,
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
        self.glimpse_network = glimpse_network or layers.MlpGlimpse(product=True)
        self.lower = lower or keras.layers.LSTMCell(256)
        self.upper = upper or keras.layers.LSTMCell(256)
        self.location = location or layers.GaussianLocation(
            num_coordinates=self.num_coordinates
        )
        self.check_head()
        self.baseline = baseline or layers.ValueBaseline()
        self.classifier = keras.layers.Dense(
            num_classes, dtype="float32", name="classifier"
        )

    def build(self, input_shape):
        place = (None, self.num_coordinates)
        glimpses = self.retina.compute_output_shape(input_shape, place)
        features = self.glimpse_network.compute_output_shape(glimpses, place)
        below, above = (None, self.lower.output_size), (None, self.upper.output_size)
        classified, looking = self._by_use(below, above)
        for layer, *shapes in (
            (self.retina, input_shape, place),
            (self.glimpse_network, glimpses, place),
            (self.lower, features),
            (self.upper, below),
            (self.location, looking),
            (self.baseline, looking),
            (self.classifier, classified),
        ):
            if not layer.built:  # A part that was given may be built already.
                layer.build(*shapes)
        self.built = True

    def encode(self, glimpses, locations, training=False):
        return self.glimpse_network(glimpses, locations)

    def initial_state(self, context):
        batch_size = ops.shape(context["images"])[0]
        return self._state(
            first_states(self.lower, batch_size), self._first_above(context, batch_size)
        )

    def integrate(self, features, location, state, training=False):
        hidden, below = run_core(self.lower, features, state["lower"], training)
        _, above = run_core(self.upper, self._hand_up(hidden), state["upper"], training)
        return self._state(below, above)

    def decide(self, state, sample, seed=None):
        return self.location(self._looking(state), training=sample, seed=seed)

    def aim(self, state):
        return self.location.aim(self._looking(state))

    def read(self, hidden, training=False, seed=None, classify_last=None):
        """Reads hidden states: see `AttentionModel.read`.

        Args:
            hidden: Tensor `(batch, time, units)`: first what is classified, then what
                looks and is valued.
            training: Boolean.
            seed: Not used.
            classify_last: Int or `None`. Logits of only so many last steps.

        Returns:
            `{"logits": (batch, time, classes), "baselines": (batch, time)}`.
        """
        units, _ = self._by_use(self.lower.output_size, self.upper.output_size)
        classified, looking = ops.split(hidden, [units], axis=-1)
        return read_steps(self, classified, looking, classify_last)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}

    def _state(self, below, above):
        """The state of both layers' states, whose first ones are their outputs."""
        classified, looking = self._by_use(below[0], above[0])
        # Else what is read of one half would send zeros back through the other one.
        hidden = ops.concatenate([classified, ops.stop_gradient(looking)], axis=-1)
        return {"lower": below, "upper": above, "hidden": hidden}

    def _looking(self, state):
        _, looking = self._by_use(state["lower"][0], state["upper"][0])
        return looking

    def _first_above(self, context, batch_size):
        """The states of the upper layer before the first glimpse."""
        raise NotImplementedError

    def _hand_up(self, below):
        """What the upper layer gets of the lower one's output."""
        raise NotImplementedError

    def _by_use(self, below, above):
        """Of two things of the layers, that of what is classified, of what looks."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="ram_tf")
class DRAM(_TwoLayers):
    """The deep recurrent attention model: two layers, and a context to begin with.

    The lower layer takes glimpses in, and is classified. The upper layer takes in what
    the lower one makes of them, and looks. It alone knows the whole image, coarsely: a
    context network gives the state that it begins with, and so the first place. No
    gradient leaves the upper layer downwards: what the context knows reaches the
    classifier through where it made the model look, and through nothing else.

    A state's `hidden` is the outputs of both layers side by side, the lower one first.

    Args:
        num_classes: Int >= 2.
        retina: Layer `(images, locations) -> glimpses`.
        glimpse_network: Layer `(glimpses, locations) -> features`.
        lower: RNN cell `(features, states) -> hidden, states`, whose output is its
            first state; it is classified.
        upper: RNN cell of the same kind on the lower one's output; it looks.
        location: Layer `hidden -> location, log_prob` on the upper layer, through which
            the gradient must pass (`detach_inputs` false).
        baseline: Layer `hidden -> values` on the upper layer.
        context: Layer `overview -> (batch, units)`, as wide as the upper layer.
        overview_size: Int. Side in pixels of the coarse view.

    Reference:
        [Ba et al., 2015](https://arxiv.org/abs/1412.7755), section 3.
    """

    parts = (*_TwoLayers.parts, "context")

    def __init__(
        self,
        num_classes,
        retina=None,
        glimpse_network=None,
        lower=None,
        upper=None,
        location=None,
        baseline=None,
        context=None,
        overview_size=24,
        **kwargs,
    ):
        retina = retina or layers.Retina()
        location = location or layers.GaussianLocation(
            detach_inputs=False, num_coordinates=retina.num_coordinates
        )
        super().__init__(
            num_classes,
            retina,
            glimpse_network,
            lower,
            upper,
            location,
            baseline,
            **kwargs,
        )
        if overview_size < 1:
            raise ValueError(
                f"`overview_size` must be at least 1. Received: {overview_size}"
            )
        self.overview_size = overview_size
        self.context = context or layers.ContextNetwork(self.upper.output_size)
        if self.context.units != self.upper.output_size:
            raise ValueError(
                "`context` must be as wide as `upper`, whose first state it gives. "
                f"Received: {self.context.units} and {self.upper.output_size}"
            )

    @classmethod
    def from_options(cls, num_classes, *, location, context, overview_size, **options):
        """Builds the model from plain dictionaries, as a config file gives them.

        `glimpse_network`, `lower` and `upper` name theirs under `kind`. The context is
        as wide as the upper layer.
        """
        made = _make_parts(location=dict(detach_inputs=False, **location), **options)
        units = made["upper"].output_size
        return cls(
            num_classes,
            **made,
            context=layers.ContextNetwork(units, **context),
            overview_size=overview_size,
        )

    def build(self, input_shape):
        size = self.overview_size
        self.overview_shape = (size, size, input_shape[-1])
        if not self.context.built:
            self.context.build((None, *self.overview_shape))
        super().build(input_shape)

    def prepare(self, images, training=False):
        return {"images": images, "overview": self.overview(images)}

    def begin(self, context, num_glimpses):
        """Adds the upper layer's first state, once for all samples of an image."""
        context = super().begin(context, num_glimpses)
        return {**context, "opening": self._opening(context["overview"])}

    def first_context(self, overview):
        return {"images": overview, "opening": self._opening(overview)}

    def value(self, state):
        """What the baseline expects of a state: `(batch,)`, in units of the return."""
        return self.baseline(self._looking(state))

    def get_config(self):
        return {**super().get_config(), "overview_size": self.overview_size}

    def _opening(self, overview):
        return self.context(self.normalize(overview))

    def _first_above(self, context, batch_size):
        others = first_states(self.upper, batch_size)[1:]
        return [context["opening"], *others]

    def _hand_up(self, below):
        return ops.stop_gradient(below)

    def _by_use(self, below, above):
        return below, above


@keras.saving.register_keras_serializable(package="ram_tf")
class MRAM(_TwoLayers):
    """Two recurrent layers without a context: the lower one looks.

    The lower layer takes glimpses in, and looks. The upper layer takes in what the
    lower one makes of them, and is classified: both learn from being right, and the
    location head reads the lower one behind a stopped gradient, as RAM's its core.

    A state's `hidden` is the outputs of both layers side by side, the upper one first.

    Args:
        num_classes: Int >= 2.
        retina: Layer `(images, locations) -> glimpses`.
        glimpse_network: Layer `(glimpses, locations) -> features`.
        lower: RNN cell `(features, states) -> hidden, states`, whose output is its
            first state; it looks.
        upper: RNN cell of the same kind on the lower one's output; it is classified.
        location: Layer `hidden -> location, log_prob` on the lower layer.
        baseline: Layer `hidden -> values` on the lower layer.

    Reference:
        [arXiv 2505.13191, 2025](https://arxiv.org/abs/2505.13191), there called MRAM.
    """

    @classmethod
    def from_options(cls, num_classes, **options):
        """Builds the model from plain dictionaries, as a config file gives them.

        `glimpse_network`, `lower` and `upper` name theirs under `kind`.
        """
        return cls(num_classes, **_make_parts(**options))

    def _first_above(self, context, batch_size):
        return first_states(self.upper, batch_size)

    def _hand_up(self, below):
        return below

    def _by_use(self, below, above):
        return above, below


def _make_parts(retina, glimpse_network, lower, upper, location, baseline):
    """The parts that both wirings have, by name, from a config's dictionaries."""
    retina = layers.Retina(**retina)
    return {
        "retina": retina,
        "glimpse_network": make_part(
            GLIMPSE_NETWORKS, "glimpse_network", glimpse_network
        ),
        "lower": make_part(CORES, "lower", lower),
        "upper": make_part(CORES, "upper", upper),
        "location": layers.GaussianLocation(
            num_coordinates=retina.num_coordinates, **location
        ),
        "baseline": layers.ValueBaseline(**baseline),
    }
