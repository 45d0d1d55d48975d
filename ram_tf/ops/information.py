"""How much a look is expected to tell."""

from keras import ops


def expected_information_gain(lookahead_logits, belief_logits):
    """Expected Kullback-Leibler divergence of imagined beliefs from the present one.

    Non-negative. Where the belief is the mean of equally likely lookaheads, it is the
    mutual information between what will be seen and the class.

    Args:
        lookahead_logits: Tensor `(batch, samples, places, classes)`, the belief after
            looking at a place and seeing what a sample imagines there.
        belief_logits: Tensor `(batch, classes)`, the present belief.

    Returns:
        Float32 tensor `(batch, places)`, the mean over samples, in nats.

    Reference:
        [Rangrej and Clark, 2021](https://arxiv.org/abs/2111.07534), section 3.2.
    """
    imagined = ops.log_softmax(ops.cast(lookahead_logits, "float32"), axis=-1)
    present = ops.log_softmax(ops.cast(belief_logits, "float32"), axis=-1)
    # Not log(softmax): a class that is ruled out would be 0 times minus infinity.
    ratio = imagined - present[:, None, None]
    divergence = ops.sum(ops.exp(imagined) * ratio, axis=-1)
    # Rounding can leave it a hair below the zero that it cannot cross.
    return ops.maximum(ops.mean(divergence, axis=1), 0.0)


def best_unseen(scores, seen):
    """Masks what was seen and picks the best of the rest, the first one of equals.

    Args:
        scores: Tensor `(batch, places)`.
        seen: Boolean tensor `(batch, places)`.

    Returns:
        index: Int32 `(batch,)`.
        masked: `(batch, places)`, `scores` with minus infinity where seen.
    """
    masked = ops.where(seen, float("-inf"), scores)
    # No `argmax`: of equals it picks any on some devices, and Keras's puts -0 below 0.
    best = ops.equal(masked, ops.max(masked, axis=-1, keepdims=True))
    places = masked.shape[-1]
    index = ops.where(best, ops.arange(places, dtype="int32"), places - 1)
    return ops.min(index, axis=-1), masked
