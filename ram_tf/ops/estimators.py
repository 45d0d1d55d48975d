"""Log-densities and gradient estimators."""

import math

import keras
from keras import ops


def normal_log_prob(value, mean, stddev):
    """Log-density of a diagonal normal.

    Args:
        value: Tensor `(..., dimensions)`.
        mean: Tensor of the same shape.
        stddev: Float or scalar tensor > 0, or a tensor `(dimensions,)` of one each.

    Returns:
        Tensor `(...)`, summed over the last axis, in nats.
    """
    squares = ops.square((value - mean) / stddev)
    constant = ops.log(ops.cast(stddev, value.dtype)) + 0.5 * math.log(2 * math.pi)
    return -ops.sum(0.5 * squares + constant, axis=-1)


def score_function_loss(log_probs, returns, baselines):
    """The REINFORCE surrogate of each example: its gradient estimates -d E[return].

    -sum_t log pi(l_t) (R - b_t), where neither the return nor the baseline passes a
    gradient. The sum is over decisions: no decision, no loss.

    Args:
        log_probs: `(batch, decisions)`, log-densities of the sampled actions.
        returns: `(batch,)` or `(batch, decisions)`.
        baselines: `(batch, decisions)`.

    Returns:
        Tensor `(batch,)`.

    Reference:
        [Mnih et al., 2014](https://arxiv.org/abs/1406.6247), section 3.2, equation 7.
    """
    if len(returns.shape) == 1:
        returns = returns[:, None]
    advantages = ops.stop_gradient(returns - baselines)
    return -ops.sum(log_probs * advantages, axis=1)


def repeat_examples(copies, *tensors):
    """Repeats each example `copies` times in place: a, a, b, b, ...

    Args:
        copies: Int, the number of Monte-Carlo samples.
        *tensors: Tensors with a leading batch dimension, or structures of them; `None`
            stays what it is.

    Returns:
        Tuple of what was given, with `copies` times the batch.
    """
    if copies == 1:
        return tensors
    return keras.tree.map_structure(
        lambda tensor: None if tensor is None else ops.repeat(tensor, copies, axis=0),
        tensors,
    )
