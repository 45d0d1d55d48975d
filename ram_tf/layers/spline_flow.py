import math

import keras
import numpy as np
from keras import ops

MIN_BIN = 1e-3  # least width, height and slope of a bin
MARGIN = 1e-6  # distance of the spline's value from 0 and 1 before the logit
UNIT_SLOPE = math.log(math.expm1(1 - MIN_BIN))  # the logit of slope 1
EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="ram_tf")
class SplineFlow(keras.layers.Layer):
    """Turns a simple random vector into a flexible one, given a context.

    Each block is a conditional ActNorm, a reversal of the dimensions, and an
    autoregressive rational-quadratic spline in the unit interval (between a sigmoid and
    a logit). Base sample to latent is one pass; the inverse solves one dimension after
    the other.

    Args:
        num_blocks: Int >= 1.
        num_bins: Int >= 2. Bins of each spline.
        published_norm: Boolean. Layer-normalise all hidden units of the spline's
            network together, as the published code does. Every unit then sees every
            dimension: the network is not autoregressive, the inverse is wrong and so is
            the log-determinant. Only for reproducing published numbers. By default the
            context units are normalised among themselves, and the others by their
            scale and offset alone.

    Call arguments:
        base: Tensor `(..., latent_units)`.
        context: Tensor `(..., context_units)`, whose leading dimensions broadcast to
            those of `base`: `(batch, 1, context_units)` for many samples an example.

    Returns:
        latents: Tensor like `base`.
        log_det: `(...)`, log |d latents / d base|, in nats.

    Reference:
        [Durkan et al., 2019](https://arxiv.org/abs/1906.04032), section 3, with the
        ActNorm of [Kingma and Dhariwal, 2018](https://arxiv.org/abs/1807.03039),
        section 3.1.
    """

    def __init__(
        self,
        num_blocks=4,
        num_bins=5,
        published_norm=False,
        dtype="float32",
        **kwargs,
    ):
        super().__init__(dtype=dtype, **kwargs)
        if num_blocks < 1 or num_bins < 2:
            raise ValueError(
                "`num_blocks` must be at least 1 and `num_bins` at least 2. Received: "
                f"num_blocks={num_blocks}, num_bins={num_bins}."
            )
        self.num_blocks = num_blocks
        self.num_bins = num_bins
        self.published_norm = published_norm
        self.blocks = [
            _Block(num_bins, published_norm, dtype=self.dtype_policy, name=f"block_{i}")
            for i in range(num_blocks)
        ]

    def build(self, base_shape, context_shape):
        for block in self.blocks:
            block.build(base_shape, context_shape)
        self.initialized = self.add_weight(
            name="initialized", shape=(), initializer="zeros", trainable=False
        )
        self.built = True

    def call(self, base, context):
        flow = self.bijector(context)
        latents = flow.forward(base)
        return latents, flow.forward_log_det_jacobian(base, event_ndims=1)

    def bijector(self, context):
        """Returns the flow under `context` as a TensorFlow Probability bijector."""
        # Imported where it is used: it takes most of a second.
        from tensorflow_probability import bijectors as tfb

        blocks = [block.bijector(context) for block in self.blocks]
        return tfb.Chain(blocks[::-1], name=self.name)

    def initialize(self, base, context):
        """Sets every ActNorm from a first batch, unless a batch or a file already did.

        After it each ActNorm's output has mean 0 over the batch and spreads by about 1.
        """
        fresh = ops.equal(self.initialized, 0.0)
        for block in self.blocks:
            block.initialize(base, context, fresh)
            base = block.bijector(context).forward(base)
        self.initialized.assign(1.0)

    def compute_output_shape(self, base_shape, context_shape):
        return tuple(base_shape), tuple(base_shape[:-1])

    def get_config(self):
        return {
            **super().get_config(),
            "num_blocks": self.num_blocks,
            "num_bins": self.num_bins,
            "published_norm": self.published_norm,
        }


class _Block(keras.layers.Layer):
    """ActNorm, reversal, spline."""

    def __init__(self, num_bins, published_norm, **kwargs):
        super().__init__(**kwargs)
        self.num_bins = num_bins
        self.published_norm = published_norm

    def build(self, base_shape, context_shape):
        size, width = base_shape[-1], context_shape[-1]
        self.size = size
        self.coefficient = self.add_weight(
            name="coefficient", shape=(), initializer="zeros"
        )
        options = {"dtype": self.dtype_policy}
        self.scale = _Conditioner(size, name="scale", **options)
        self.shift = _Conditioner(size, name="shift", **options)
        first = {"context_units": width, "inclusive": False}
        middle = {"context_units": width}
        last = {"copies": 3 * self.num_bins - 1, "bias_start": UNIT_SLOPE}
        self.first = _MaskedDense(size, name="first", **first, **options)
        self.first_norm = _HiddenNorm(self.published_norm, name="first_norm", **options)
        self.middle = _MaskedDense(size, name="middle", **middle, **options)
        self.middle_norm = _HiddenNorm(
            self.published_norm, name="middle_norm", **options
        )
        self.last = _MaskedDense(size, name="last", **last, **options)
        for layer in (self.scale, self.shift, self.first, self.middle, self.last):
            layer.build(context_shape)
        for norm in (self.first_norm, self.middle_norm):
            norm.build(context_shape, base_shape)
        self.built = True

    def bijector(self, context):
        """Returns the block under `context`, its last step first."""
        from tensorflow_probability import bijectors as tfb

        known = {}

        def inverted_spline(x):
            # Asked for the value and again for its slope: one network, one spline.
            if x.ref() not in known:
                known[x.ref()] = tfb.Invert(self._spline(x, context))
            return known[x.ref()]

        # Inverted, because the spline depends on its input: forward is one pass.
        autoregressive = tfb.MaskedAutoregressiveFlow(bijector_fn=inverted_spline)
        return tfb.Chain(
            [
                tfb.Invert(autoregressive),
                tfb.Permute(np.arange(self.size)[::-1].copy()),
                tfb.Shift(self.shift(context)),
                tfb.Scale(log_scale=self._log_scale(context)),
            ]
        )

    def initialize(self, base, context, fresh):
        bias = self.shift.output_map.bias
        deviations = ops.sqrt(ops.var(_rows(base), axis=0) + EPSILON)
        coefficient = ops.log(ops.mean(2 / deviations))
        self.coefficient.assign(ops.where(fresh, coefficient, self.coefficient))
        mean = ops.mean(_rows(base * ops.exp(self._log_scale(context))), axis=0)
        bias.assign(ops.where(fresh, -mean, bias))

    def _log_scale(self, context):
        return self.coefficient + ops.log_sigmoid(self.scale(context))

    def _spline(self, x, context):
        """Returns the elementwise bijector that the network makes of `x`."""
        from tensorflow_probability import bijectors as tfb

        context, hidden = self.first_norm(*self.first(context, x))
        context, hidden = self.middle_norm(*self.middle(context, hidden))
        _, outputs = self.last(context, hidden)
        n = self.num_bins
        shape = (*ops.shape(x)[:-1], 3 * n - 1, self.size)
        outputs = ops.moveaxis(ops.reshape(outputs, shape), -2, -1)
        spline = tfb.RationalQuadraticSpline(
            bin_widths=_proportions(outputs[..., :n]),
            bin_heights=_proportions(outputs[..., n : 2 * n]),
            knot_slopes=MIN_BIN + ops.softplus(outputs[..., 2 * n :]),
            range_min=0.0,
        )
        inside = tfb.Chain([tfb.Shift(MARGIN), tfb.Scale(1 - 2 * MARGIN)])
        return tfb.Chain([tfb.Invert(tfb.Sigmoid()), inside, spline, tfb.Sigmoid()])


class _Conditioner(keras.layers.Layer):
    """ActNorm's scale or shift as a function of the context: two dense layers."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, context_shape):
        width = context_shape[-1]
        self.hidden = self._dense(width, "relu", "hidden")
        self.output_map = self._dense(self.units, None, "output_map")
        for layer in (self.hidden, self.output_map):
            layer.build((None, width))
        self.built = True

    def _dense(self, units, activation, name):
        return keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer=_small(),
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, context):
        return self.output_map(self.hidden(context))


class _MaskedDense(keras.layers.Layer):
    """Dense layer on (context, x) that keeps the order of x's units.

    Its outputs are context units, which see the context alone, and `copies` times the
    units of x, of which unit i sees the context and x's units before i, or up to i. The
    mask multiplies in the forward pass: a masked weight has no effect and no gradient.
    """

    def __init__(
        self,
        units,
        context_units=0,
        copies=1,
        inclusive=True,
        bias_start=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.context_units = context_units
        self.copies = copies
        self.inclusive = inclusive
        self.bias_start = bias_start

    def build(self, context_shape):
        outputs = self.copies * self.units
        total = self.context_units + outputs
        self.context_kernel = self.add_weight(
            name="context_kernel",
            shape=(context_shape[-1], total),
            initializer=_small(),
        )
        self.kernel = self.add_weight(
            name="kernel", shape=(self.units, outputs), initializer=_small()
        )
        self.bias = self.add_weight(
            name="bias",
            shape=(total,),
            initializer=keras.initializers.Constant(self.bias_start),
        )
        self.built = True

    def call(self, context, x):
        # Once an example, not once a sample.
        seen = ops.matmul(context, self.context_kernel) + self.bias
        # Made here: kept as a constant it would be as large as the weights.
        unit = ops.arange(self.units)
        inputs, outputs = unit[:, None], ops.tile(unit, self.copies)
        mask = inputs <= outputs if self.inclusive else inputs < outputs
        x = ops.matmul(x, self.kernel * ops.cast(mask, self.compute_dtype))
        width = self.context_units
        return seen[..., :width], seen[..., width:] + x


class _HiddenNorm(keras.layers.Layer):
    """Leaky ReLU, then a layer norm that lets no dimension see another one."""

    def __init__(self, published, **kwargs):
        super().__init__(**kwargs)
        self.published = published

    def build(self, context_shape, x_shape):
        shape = (context_shape[-1] + x_shape[-1],)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones")
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")
        self.built = True

    def call(self, context, x):
        width = context.shape[-1]
        context = ops.leaky_relu(context, negative_slope=0.2)
        x = ops.leaky_relu(x, negative_slope=0.2)
        if self.published:
            context = ops.broadcast_to(context, (*ops.shape(x)[:-1], width))
            both = _normalize(ops.concatenate([context, x], axis=-1))
            context, x = both[..., :width], both[..., width:]
        else:
            context = _normalize(context)
        return (
            context * self.gamma[:width] + self.beta[:width],
            x * self.gamma[width:] + self.beta[width:],
        )


def _small():
    return keras.initializers.RandomUniform(-1e-3, 1e-3)


def _normalize(x):
    centred = x - ops.mean(x, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
    return centred * ops.rsqrt(variance + EPSILON)


def _rows(x):
    return ops.reshape(x, (-1, x.shape[-1]))


def _proportions(logits):
    """Softmax over the last axis, with at least `MIN_BIN` for each."""
    bins = logits.shape[-1]
    return MIN_BIN + (1 - bins * MIN_BIN) * ops.softmax(logits, axis=-1)
