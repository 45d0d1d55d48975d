import functools

import numpy as np
import tensorflow as tf

from ram_tf import wiring
from ram_tf.errors import InputError
from ram_tf.models.looker import Looker
from ram_tf.pixels import check_pixels


class FromPreset:
    """What a model can do that was trained before: be made by a name, and classify.

    Attributes:
        preset: What it came with, an `experiment.Preset`; `None` of a model that was
            built from parts.
    """

    preset = None

    @classmethod
    def from_preset(cls, name):
        """Makes a trained model: built, with its weights, ready to be trained on.

        Args:
            name: A name of `ram_tf.presets()`, also as `packaged:NAME`, or the folder
                of a run.

        Raises:
            InputError: If there is none of that name, or it is one of another class.
        """
        return wiring.read_preset(cls, name)

    def classify(self, images, batch_size=64):
        """Classifies images as prediction does: looks as often, and by its policy.

        Args:
            images: Array `(n, height, width, channels)` of the sizes that it was
                trained on, float in [0, 1] or uint8.
            batch_size: Int, images at a time.

        Returns:
            Dictionary of arrays: `probabilities` `(n, classes)`, `classes` `(n,)`,
            their names as `labels` `(n,)`, and `locations` `(n, glimpses, 2)`, where it
            looked; with a `zoom`, of 3 numbers, and `scales` `(n, glimpses)`.
        """
        if self.preset is None:
            raise InputError(
                "this model was built from parts and does not know how to look: make "
                "it by from_preset, or call it with a policy and a num_glimpses."
            )
        images, expected = np.asarray(images), self.preset.image_shape
        if None in expected:
            raise InputError(
                "this model looks at images that are read in windows: classify their "
                "files with tools/predict.py."
            )
        if images.ndim != 4 or images.shape[1:] != expected or not len(images):
            raise InputError(
                f"expected images of the shape (n, {', '.join(map(str, expected))}), "
                f"got {images.shape}."
            )
        check_pixels(images)
        found = []
        for first in range(0, len(images), batch_size):
            batch = tf.convert_to_tensor(images[first : first + batch_size])
            found.append(self._looks(batch))
        looked = {
            name: np.concatenate([each[name] for each in found]) for name in found[0]
        }
        classes = looked["probabilities"].argmax(axis=-1)
        return {
            **looked,
            "classes": classes,
            "labels": np.array(self.preset.class_names)[classes],
        }

    @functools.cached_property
    def _looks(self):
        preset = self.preset
        looker = Looker(
            self, preset.policy, preset.num_glimpses, xla=False, xla_sense=False
        )
        return tf.function(looker.classify, autograph=False, reduce_retracing=True)
