import keras
from keras import ops

from ram_tf.objectives.credit import PUBLISHED
from ram_tf.objectives.ram import early_classification, is_right, ram_objective


def active_ram_objective(rollout, labels, returns=is_right, credit=PUBLISHED):
    """RAM's hybrid loss and two objectives about the model's own uncertainty.

    All terms are those of one example and averaged over the batch, so that a weight
    means the same at any batch size; the published code sums `uncertainty` and
    `intrinsic_belief` over the batch, so its weights are ours divided by its size.

    Args:
        rollout: A `Rollout` with all logits, whose extras hold what `ActiveRAM.read`
            returns.
        labels: Int tensor `(batch,)`.
        returns: As of `ram_objective`.
        credit: As of `ram_objective`.

    Returns:
        Dictionary of `(batch,)` terms: those of `ram_objective`; `error_fit`, squared
        difference of predicted and true error of the probabilities, mean over glimpses
        and classes, which trains the error head alone; `uncertainty`, the predicted
        error summed over glimpses and classes, which trains the rest;
        `intrinsic_belief`, cross-entropy in nats of a uniform label after the last
        glimpse; and `early_classification`, not published, the cross-entropy after the
        glimpses before the last, their mean: what stops early should know early.

    Reference:
        Lu, 2019, *Recurrent Attention Model as Active Information Sampling*, NeurIPS
        workshop.
    """
    logits = rollout.logits
    probabilities = ops.softmax(logits)
    right = ops.one_hot(labels, logits.shape[-1], dtype=probabilities.dtype)
    errors = ops.stop_gradient(ops.abs(right[:, None] - probabilities))
    fitted = rollout.extras["uncertainty_fitted"]
    uniform = ops.full_like(logits[:, -1], 1.0 / logits.shape[-1])
    return {
        **ram_objective(rollout, labels, returns, credit),
        "error_fit": ops.mean(ops.square(fitted - errors), axis=(1, 2)),
        "uncertainty": ops.sum(rollout.extras["uncertainty"], axis=(1, 2)),
        "intrinsic_belief": keras.losses.categorical_crossentropy(
            uniform, logits[:, -1], from_logits=True
        ),
        "early_classification": early_classification(logits, labels),
    }
