import keras
from keras import ops

from ram_tf.ops import score_function_loss


def is_right(logits, labels):
    """The return of a classification, the same for all decisions: 1 when it is right.

    Args:
        logits: Tensor `(batch, time, classes)`, after each glimpse.
        labels: Int tensor `(batch,)`.

    Returns:
        Float32 tensor `(batch, 1)`.
    """
    predictions = ops.argmax(logits[:, -1:], axis=-1)
    return ops.cast(ops.equal(predictions, labels[:, None]), "float32")


def is_right_and_not_false_alarm(logits, labels):
    """As `is_right`, and -1 for calling an unknown known: the last class is unknown."""
    unknown = logits.shape[-1] - 1
    predictions = ops.argmax(logits[:, -1:], axis=-1)
    false_alarm = ops.logical_and(labels[:, None] == unknown, predictions != unknown)
    return is_right(logits, labels) - ops.cast(false_alarm, "float32")


def belief(logits, labels):
    """As `is_right`, but the probability of the true class, which varies less."""
    probabilities = ops.softmax(ops.cast(logits[:, -1], "float32"))
    right = ops.cast(labels, "int32")[:, None]
    return ops.stop_gradient(ops.take_along_axis(probabilities, right, axis=1))


def ram_objective(rollout, labels, returns=is_right):
    """The hybrid loss of the recurrent attention model, term by term.

    Each decision of the rollout counts once: the T - 1 that led to a glimpse, or all T
    when the rollout was asked to decide after the last one too.

    Args:
        rollout: A `Rollout` whose extras hold `baselines` `(batch, time)`.
        labels: Int tensor `(batch,)`.
        returns: `(logits, labels) -> (batch, 1)`, what all decisions are rewarded with.

    Returns:
        Dictionary of `(batch,)` terms: `classification`, cross-entropy in nats after
        the last glimpse; `baseline`, mean squared error over decisions; `reinforce`,
        the score-function surrogate summed over decisions.

    Reference:
        [Mnih et al., 2014](https://arxiv.org/abs/1406.6247), section 3.2.
    """
    decisions = rollout.log_probs.shape[1]
    reward = returns(rollout.logits, labels)
    baselines = rollout.extras["baselines"][:, :decisions]
    errors = ops.square(baselines - reward)
    return {
        "classification": keras.losses.sparse_categorical_crossentropy(
            labels, rollout.logits[:, -1], from_logits=True
        ),
        "baseline": ops.sum(errors, axis=1) / max(decisions, 1),
        "reinforce": score_function_loss(rollout.log_probs, reward, baselines),
    }
