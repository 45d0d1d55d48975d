import keras
from keras import ops

from ram_tf import layers
from ram_tf.models.ram import RAM
from ram_tf.models.stop_rules import Settled


@keras.saving.register_keras_serializable(package="ram_tf")
class ActiveRAM(RAM):
    """The recurrent attention model that knows how unsure it is.

    After each glimpse an error head predicts how far off the probability of each class
    is. A model that minimises it looks where it learns most, and can stop looking when
    no other class could still win.

    Args:
        num_classes: Int >= 2.
        retina, glimpse_network, core, location, baseline: As for `RAM`.
        error_head: Layer `(hidden, probabilities) -> uncertainty, fitted`.

    Reference:
        Lu, 2019, *Recurrent Attention Model as Active Information Sampling*, NeurIPS
        workshop.
    """

    parts = (*RAM.parts, "error_head")
    stop_rule = Settled

    def __init__(
        self,
        num_classes,
        retina=None,
        glimpse_network=None,
        core=None,
        location=None,
        baseline=None,
        error_head=None,
        **kwargs,
    ):
        super().__init__(
            num_classes, retina, glimpse_network, core, location, baseline, **kwargs
        )
        self.error_head = error_head or layers.ErrorHead()

    @classmethod
    def from_options(cls, num_classes, *, error_head, **options):
        head = layers.ErrorHead(**error_head)
        return super().from_options(num_classes, error_head=head, **options)

    def build(self, input_shape):
        super().build(input_shape)
        if not self.error_head.built:
            self.error_head.build(
                (None, self.core.output_size), (None, self.num_classes)
            )

    def read(self, hidden, training=False, seed=None):
        """Reads hidden states: see `RAM.read`.

        Returns:
            What `RAM` reads, and `uncertainty` and `uncertainty_fitted` `(batch, time,
            classes)`, see `ErrorHead`.
        """
        read = super().read(hidden, training=training, seed=seed)
        shape = ops.shape(read["logits"])
        uncertainty, fitted = self.error_head(
            ops.reshape(hidden, (-1, hidden.shape[-1])),
            ops.softmax(ops.reshape(read["logits"], (-1, self.num_classes))),
        )
        return {
            **read,
            "uncertainty": ops.reshape(uncertainty, shape),
            "uncertainty_fitted": ops.reshape(fitted, shape),
        }
