import keras
from keras import ops

from ram_tf.objectives.credit import PUBLISHED
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


def log_belief(logits, labels):
    """The log-probability of the true class, after each glimpse.

    Args:
        logits: Tensor `(batch, time, classes)`.
        labels: Int tensor `(batch,)`.

    Returns:
        Float32 tensor `(batch, time)` without a gradient, in nats.
    """
    logs = ops.log_softmax(ops.cast(logits, "float32"))
    right = ops.cast(labels, "int32")[:, None, None]
    right = ops.broadcast_to(right, (*ops.shape(logs)[:2], 1))
    return ops.stop_gradient(ops.take_along_axis(logs, right, axis=-1)[..., 0])


def minus_loss(logits, labels):
    """Rewards after every glimpse: the log-probability of the true class, in nats.

    Args:
        logits: Tensor `(batch, time, classes)`, after each glimpse.
        labels: Int tensor `(batch,)`.

    Returns:
        Float32 tensor `(batch, time - 1)`: the first glimpse was not decided.
    """
    return log_belief(logits, labels)[:, 1:]


def log_gain(logits, labels):
    """As `minus_loss`, but what each glimpse added to that log-probability."""
    logs = log_belief(logits, labels)
    return logs[:, 1:] - logs[:, :-1]


def gain(logits, labels):
    """As `log_gain`, but of the probability of the true class."""
    probabilities = ops.exp(log_belief(logits, labels))
    return probabilities[:, 1:] - probabilities[:, :-1]


def early_classification(logits, labels):
    """Cross-entropy after the glimpses before the last, their mean, `(batch,)`."""
    glimpses = logits.shape[1]
    early = keras.losses.sparse_categorical_crossentropy(
        ops.repeat(labels[:, None], glimpses - 1, axis=1),
        logits[:, :-1],
        from_logits=True,
    )
    return ops.sum(early, axis=1) / max(glimpses - 1, 1)


def ram_objective(
    rollout, labels, returns=is_right, credit=PUBLISHED, early=False, opens=False
):
    """The hybrid loss of the recurrent attention model, term by term.

    Each decision of the rollout counts once: the T - 1 that led to a glimpse, or all T
    when the first glimpse was decided too, or another after the last one.

    Args:
        rollout: A `Rollout` whose extras hold `baselines` `(batch, time)`.
        labels: Int tensor `(batch,)`.
        returns: `(logits, labels) -> (batch, 1)`, what all decisions are rewarded with,
            or `(batch, time - 1)`, what each is after the glimpse that it led to.
        credit: A `Credit`: how rewards become each decision's return.
        opens: Boolean. The first glimpse was decided too, and is rewarded.
        early: Boolean. Also return `early_classification`, not published.

    Returns:
        Dictionary of `(batch,)` terms: `classification`, cross-entropy in nats after
        the last glimpse; `baseline`, mean squared error over decisions; `reinforce`,
        the score-function surrogate summed over decisions; `early_classification`, if
        told, cross-entropy after the glimpses before the last, their mean, of a rollout
        with all logits.

    Reference:
        [Mnih et al., 2014](https://arxiv.org/abs/1406.6247), section 3.2.
    """
    decisions = rollout.log_probs.shape[1]
    baselines = rollout.extras["baselines"][:, :decisions]
    believed = rollout.logits
    if opens:  # Before a first decision nothing is known.
        believed = ops.pad(believed, ((0, 0), (1, 0), (0, 0)))
    returned = credit.returns(returns(believed, labels), baselines)
    expected = credit.expected(returned, baselines)
    errors = ops.square(baselines - returned)
    terms = {
        "classification": keras.losses.sparse_categorical_crossentropy(
            labels, rollout.logits[:, -1], from_logits=True
        ),
        "baseline": ops.sum(errors, axis=1) / max(decisions, 1),
        "reinforce": score_function_loss(rollout.log_probs, returned, expected),
    }
    if early:
        terms["early_classification"] = early_classification(rollout.logits, labels)
    return terms
