import keras
from keras import ops

from ram_tf.ops import score_function_loss


def ram_objective(rollout, labels):
    """The hybrid loss of the recurrent attention model, term by term.

    The return is 1 when the class after the last glimpse is right. Each decision of the
    rollout counts once: the T - 1 that led to a glimpse, or all T when the rollout was
    asked to decide after the last one too.

    Args:
        rollout: A `Rollout` whose extras hold `baselines` `(batch, time)`.
        labels: Int tensor `(batch,)`.

    Returns:
        Dictionary of `(batch,)` terms: `classification`, cross-entropy in nats after
        the last glimpse; `baseline`, mean squared error over decisions; `reinforce`,
        the score-function surrogate summed over decisions.

    Reference:
        [Mnih et al., 2014](https://arxiv.org/abs/1406.6247), section 3.2.
    """
    last_logits = rollout.logits[:, -1]
    returns = ops.cast(ops.equal(ops.argmax(last_logits, axis=-1), labels), "float32")
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
