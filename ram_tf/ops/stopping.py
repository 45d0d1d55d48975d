"""When to stop looking."""

from keras import ops


def is_settled(probabilities, uncertainty, epsilon):
    """Whether the best class wins even if all probabilities err against it.

    The lower bound p - epsilon u of the most probable class is at least the upper bound
    p + epsilon u of every other one.

    Args:
        probabilities: Tensor `(..., classes)`.
        uncertainty: Tensor of that shape, the predicted error of each probability.
        epsilon: Float >= 0, the exploration rate: how many such errors to allow for.

    Returns:
        Boolean tensor `(...)`.

    Reference:
        Lu, 2019, *Recurrent Attention Model as Active Information Sampling*, NeurIPS
        workshop, "Dynamic number of glimpses".
    """
    num_classes = probabilities.shape[-1]
    best = ops.argmax(probabilities, axis=-1)
    is_best = ops.one_hot(best, num_classes, dtype="bool")
    lower = probabilities - epsilon * uncertainty
    upper = probabilities + epsilon * uncertainty
    infinity = float("inf")
    own = ops.min(ops.where(is_best, lower, infinity), axis=-1)
    others = ops.max(ops.where(is_best, -infinity, upper), axis=-1)
    return own >= others
