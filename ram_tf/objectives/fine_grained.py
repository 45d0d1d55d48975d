"""The objective that pre-trains a backbone."""

import keras
from keras import ops

_SUFFIX = "_logits"


def combination_objective(rollout, labels):
    """Cross-entropy of the classifier of each combination of resolutions.

    Args:
        rollout: A `Rollout` whose extras hold `<combination>_logits` `(batch, time,
            classes)`.
        labels: Int tensor `(batch,)`.

    Returns:
        Dictionary of `(batch,)` terms: for each combination its name, the cross-entropy
        in nats after the last look, and `<combination>_accuracy`, 1 where it is right,
        to be watched.

    Reference:
        [Sermanet et al., 2014](https://arxiv.org/abs/1412.7054), section 4.
    """
    terms = {}
    for name, logits in rollout.extras.items():
        if not name.endswith(_SUFFIX):
            continue
        combination, last = name.removesuffix(_SUFFIX), logits[:, -1]
        terms[combination] = keras.losses.sparse_categorical_crossentropy(
            labels, last, from_logits=True
        )
        predictions = ops.cast(ops.argmax(last, axis=-1), labels.dtype)
        right = ops.cast(ops.equal(predictions, labels), "float32")
        terms[f"{combination}_accuracy"] = right
    return terms
