"""Measures of where a policy looks, and of how good its predictions are."""

import numpy as np
import scipy.stats

from ram_tf.errors import InputError

COLLAPSED_SPREAD = 0.02
# Logs of an epoch of which more is better, by the end of their names, and those that
# say nothing of how good a model is. The rest are losses, the terms of a phase, which
# are minimised, and `revisits`.
_MORE_IS_BETTER = ("accuracy", "spread", "coverage")
_NO_MEASURES = ("images_per_second", "learning_rate")


def monitor_mode(name):
    """Whether more or less of a log of an epoch is better: `"max"` or `"min"`.

    Args:
        name: Name of the log, as `val_accuracy`, `loss` or a term of a phase.

    Raises:
        InputError: If neither is.
    """
    if name in _NO_MEASURES:
        raise InputError(
            f"{name} cannot decide what is best: expected a loss, an accuracy, a term "
            "of the phase, or spread, coverage or revisits."
        )
    return "max" if name.endswith(_MORE_IS_BETTER) else "min"


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


def coverable_share(image_size, sides, num_glimpses):
    """Returns the largest share of an image that glimpses can cover, for each side.

    Args:
        image_size: Tuple `(height, width)` in pixels.
        sides: Sides of a glimpse's patches in pixels.
        num_glimpses: Int.

    Returns:
        List of floats in [0, 1], one a side.
    """
    height, width = image_size
    return [
        min(1.0, num_glimpses * min(side, height) * min(side, width) / (height * width))
        for side in sides
    ]


def describe_coverage(image_size, sides, num_glimpses):
    """Returns one line: what share of the image the glimpses can cover at most."""
    shares = coverable_share(image_size, sides, num_glimpses)
    parts = [f"{share:.0%} at {side}x{side}" for share, side in zip(shares, sides)]
    height, width = image_size
    line = (
        f"{num_glimpses} glimpses can cover at most {', '.join(parts)} pixels of a "
        f"{height}x{width} image"
    )
    if shares[-1] >= 1.0 and len(sides) > 1:
        line += (
            " (the wide scales alone may see it all: compare with the controls before "
            "crediting the policy)"
        )
    if max(sides) > min(image_size):
        line += (
            f"; warning: a patch of {max(sides)} pixels is larger than the image and "
            "sees padding"
        )
    return line


def policy_statistics(locations, boxes, image_size):
    """Says how a policy moves over a set of images.

    Args:
        locations: Array `(images, glimpses, 2)`, (x, y) in [-1, 1].
        boxes: Int array `(images, glimpses, scales, 4)` of `glimpse_boxes`.
        image_size: Tuple `(height, width)` in pixels.

    Returns:
        Dictionary of floats: `spread`, standard deviation between images of the
        locations after the first, in normalised coordinates; `coverage`, mean share of
        pixels inside the finest boxes; `revisits`, share of later glimpses whose finest
        box overlaps that of an earlier one by more than half of its area.
    """
    height, width = image_size
    finest = np.asarray(boxes)[:, :, 0]
    seen = np.zeros((len(finest), height, width), bool)
    low = np.maximum(finest[..., :2], 0)
    high = np.maximum(np.minimum(finest[..., 2:], image_size), 0)
    for image, (starts, ends) in enumerate(zip(low, high)):
        for (top, left), (bottom, right) in zip(starts, ends):
            seen[image, top:bottom, left:right] = True
    starts, sides = finest[..., :2], finest[0, 0, 2:] - finest[0, 0, :2]
    distance = np.abs(starts[:, :, None] - starts[:, None])
    overlap = np.maximum(sides - distance, 0).prod(axis=-1)
    earlier = np.tril(np.ones(overlap.shape[1:], bool), k=-1)
    again = ((2 * overlap > sides.prod()) & earlier).any(axis=2)[:, 1:]
    later = np.asarray(locations)[:, 1:]
    return {
        "spread": float(np.sqrt(later.var(axis=0).mean())) if later.size else 0.0,
        "coverage": float(seen.mean()),
        "revisits": float(again.mean()) if again.size else 0.0,
    }


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


def format_accuracy(accuracy, num_examples):
    """`98.77 % (9877/10000)`: of one run, a mean over several being no count."""
    correct = round(accuracy * num_examples)
    return f"{100 * accuracy:.2f} % ({correct}/{num_examples})"


def format_places(places):
    """Writes locations `(glimpses, 2)` as "(x,y) (x,y)", without those never looked at.

    Those are NaN.
    """
    places = np.round(places[~np.isnan(places[:, 0])], 3) + 0.0  # No "-0.000".
    return " ".join(f"({x:.3f},{y:.3f})" for x, y in places)
