"""Means over images and seeds, their errors, and how good a belief is."""

import numpy as np
import scipy.stats


def standard_error(values, groups=None):
    """Standard error of the mean over examples, of which some may belong together.

    What comes from one original picture is alike, so that examples of one group count
    as a cluster: the error is that of the sums of residuals by group.

    Args:
        values: Array `(n, ...)`, one value an example, or differences of pairs.
        groups: Integer array `(n,)`, which original each is of; `None` if all differ.

    Returns:
        Array `(...)`; NaN of fewer than two groups, which cannot tell.

    Reference:
        [Liang and Zeger, 1986](https://doi.org/10.1093/biomet/73.1.13), of a mean.
    """
    values = np.asarray(values, float)
    residuals = values - values.mean(axis=0)
    if groups is not None:
        _, places = np.unique(groups, return_inverse=True)
        sums = np.zeros((places.max() + 1, *residuals.shape[1:]))
        np.add.at(sums, places, residuals)
        residuals = sums
    count = len(residuals)
    if count < 2:
        return np.full(values.shape[1:], np.nan)
    square = np.square(residuals).sum(axis=0) * count / (count - 1)
    return np.sqrt(square) / len(values)


def mean_and_std(runs):
    """What several evaluation seeds say of the same weights.

    Args:
        runs: Sequence of numbers or of equally long lists, one a seed.

    Returns:
        `{"mean", "std"}`, `std` with one degree of freedom less, `None` of one seed.
    """
    return {
        "mean": np.mean(runs, axis=0).tolist(),
        "std": np.std(runs, axis=0, ddof=1).tolist() if len(runs) > 1 else None,
    }


def without_nan(values):
    """Floats as JSON takes them: a list or a number, `None` for NaN."""
    if np.ndim(values):
        return [without_nan(value) for value in values]
    return None if np.isnan(values) else float(values)


def calibration_error(confidences, correct, num_bins=15):
    """Expected calibration error with equal-width bins.

    Args:
        confidences: Array `(n,)`, probability of the predicted class.
        correct: Boolean array `(n,)`.
        num_bins: Int.

    Returns:
        Float in [0, 1]: mean over examples of |accuracy - confidence| of their bin.

    Reference:
        [Guo et al., 2017](https://arxiv.org/abs/1706.04599), section 2, equation 3.
    """
    bins = np.minimum((np.asarray(confidences) * num_bins).astype(int), num_bins - 1)
    gaps = np.asarray(correct, float) - np.asarray(confidences)
    sums = np.bincount(bins, weights=gaps, minlength=num_bins)
    return float(np.abs(sums).sum() / len(gaps))


def normalized_area(accuracy):
    """Area under accuracy against glimpses, as a share of the largest there is.

    Args:
        accuracy: Array `(..., glimpses)`, in [0, 1].

    Returns:
        Array `(...)` in [0, 1], by the trapezoid rule; the accuracy itself of one
        glimpse.
    """
    accuracy = np.asarray(accuracy, float)
    if accuracy.shape[-1] == 1:
        return accuracy[..., 0]
    return (accuracy[..., 1:] + accuracy[..., :-1]).mean(axis=-1) / 2


def rank_correlation(predicted, realised):
    """Spearman's rank correlation of two arrays `(n,)`; 0 where one is constant."""
    if np.ptp(predicted) == 0 or np.ptp(realised) == 0:
        return 0.0
    return float(scipy.stats.spearmanr(predicted, realised).statistic)


def stop_early(correct, may_stop):
    """What stopping as soon as it may would cost.

    Args:
        correct: Boolean array `(examples, glimpses)`.
        may_stop: Boolean array `(examples, glimpses)`, or without the last glimpse,
            after which there is no other.

    Returns:
        Dictionary: `glimpses`, the mean number taken; `accuracy`, at each example's
        last one.
    """
    examples, glimpses = correct.shape
    end = np.ones((examples, 1), bool)
    last = np.concatenate([may_stop[:, : glimpses - 1], end], axis=1).argmax(axis=1)
    return {
        "glimpses": float(last.mean() + 1),
        "accuracy": float(correct[np.arange(examples), last].mean()),
    }
