import keras
from keras import ops

from ram_tf.ops import score_function_loss


def is_right(predictions, labels, num_classes):
    """The return of a classification: 1 when it is right.

    Args:
        predictions: Int tensor `(batch,)`.
        labels: Int tensor `(batch,)`.
        num_classes: Int.

    Returns:
        Float32 tensor `(batch,)`.
    """
    return ops.cast(ops.equal(predictions, labels), "float32")


def is_right_and_not_false_alarm(predictions, labels, num_classes):
    """As `is_right`, and -1 for calling an unknown known: the last class is unknown."""
    unknown = num_classes - 1
    false_alarm = ops.logical_and(labels == unknown, predictions != unknown)
    return is_right(predictions, labels, num_classes) - ops.cast(false_alarm, "float32")


def ram_objective(rollout, labels, returns=is_right):
    """The hybrid loss of the recurrent attention model, term by term.

    The return is that of the class after the last glimpse. Each decision of the
    rollout counts once: the T - 1 that led to a glimpse, or all T when the rollout was
    asked to decide after the last one too.

    Args:
        rollout: A `Rollout` whose extras hold `baselines` `(batch, time)`.
        labels: Int tensor `(batch,)`.
        returns: `(predictions, labels, num_classes) -> (batch,)`.

    Returns:
        Dictionary of `(batch,)` terms: `classification`, cross-entropy in nats after
        the last glimpse; `baseline`, mean squared error over decisions; `reinforce`,
        the score-function surrogate summed over decisions.

    Reference:
        [Mnih et al., 2014](https://arxiv.org/abs/1406.6247), section 3.2.
    """
    last_logits = rollout.logits[:, -1]
    predictions = ops.cast(ops.argmax(last_logits, axis=-1), labels.dtype)
    returns = returns(predictions, labels, last_logits.shape[-1])
    decisions = rollout.log_probs.shape[1]
    baselines = rollout.extras["baselines"][:, :decisions]
    errors = ops.square(baselines - returns[:, None])
    return {
        "classification": keras.losses.sparse_categorical_crossentropy(
            labels, last_logits, from_logits=True
        ),
        "baseline": ops.sum(errors, axis=1) / max(decisions, 1),
        "reinforce": score_function_loss(rollout.log_probs, returns, baselines),
    }
