"""Objectives of the three phases of probabilistic hard attention."""

import keras
from keras import ops


def classification_objective(rollout, labels):
    """Cross-entropy after every glimpse.

    Args:
        rollout: A `Rollout` with all logits.
        labels: Int tensor `(batch,)`.

    Returns:
        `{"classification": (batch,)}`, the mean over glimpses, in nats.

    Reference:
        [Rangrej and Clark, 2021](https://arxiv.org/abs/2111.07534), section 3.3.
    """
    steps = rollout.logits.shape[1]
    losses = keras.losses.sparse_categorical_crossentropy(
        ops.repeat(labels[:, None], steps, axis=1), rollout.logits, from_logits=True
    )
    return {"classification": ops.mean(losses, axis=1)}


def evidence_objective(rollout, labels):
    """The negative evidence lower bound of the features seen so far.

    After each glimpse one posterior sample imagines all cells; what it imagines at the
    cells seen up to then, each counted once, is compared with the features that were
    seen there. The features are targets: no gradient reaches them.

    Args:
        rollout: A `Rollout` whose extras hold `features`, `cell`, and what
            `PHAM.read(..., imagine=True)` adds.
        labels: Not used.

    Returns:
        Dictionary of `(batch,)` terms, means over the glimpses imagined after, in nats
        for each latent unit: `kl`, log q - log prior of the sample; `reconstruction`,
        the negative Gaussian log-likelihood of the seen features, without its constant.

    Reference:
        [Rangrej and Clark, 2021](https://arxiv.org/abs/2111.07534), section 3.1.
    """
    extras = rollout.extras
    cells, imagined = extras["cell"], extras["imagined"]
    latent_units = extras["latents"].shape[-1]
    target = ops.stop_gradient(ops.cast(extras["features"], imagined.dtype))
    steps, num_cells = cells.shape[1], imagined.shape[2]
    # A product with zeros and ones: its gradient is one too, and not a scatter.
    chosen = ops.one_hot(cells, num_cells, dtype=imagined.dtype)
    at_seen = ops.einsum("bsg,btgf->btsf", chosen, imagined)
    variance = extras["log_variance"][:, :, None]
    errors = ops.square(at_seen - target[:, None]) * ops.exp(-variance) + variance
    errors = 0.5 * ops.sum(errors, axis=-1)
    earlier = ops.tril(ops.ones((steps, steps), dtype="bool"), -1)
    again = ops.any(
        ops.logical_and(cells[:, :, None] == cells[:, None, :], earlier), axis=-1
    )
    by_now = ops.arange(steps) <= extras["imagined_at"][:, :, None]
    counted = ops.cast(ops.logical_and(by_now, ~again[:, None]), imagined.dtype)
    reconstruction = ops.sum(errors * counted, axis=-1)
    kl = extras["log_q"] - extras["log_prior"]
    return {
        "kl": ops.mean(kl, axis=1) / latent_units,
        "reconstruction": ops.mean(reconstruction, axis=1) / latent_units,
    }


def joint_objective(rollout, labels):
    """The terms of `classification_objective` and of `evidence_objective`."""
    return {
        **classification_objective(rollout, labels),
        **evidence_objective(rollout, labels),
    }
