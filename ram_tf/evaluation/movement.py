"""How a policy moves, and how much of an image it can see."""

import numpy as np
from keras import ops

COLLAPSED_SPREAD = 0.02
# A pixel, in [0, 1], that differs by no more shows nothing.
FAINTEST = 0.05
# A location with a coordinate of that size or more lies on the image's edge.
EDGE = 0.95
# Shares of the glimpses after the first above which a policy is warned of.
TOLERATED = {"blank": 0.2, "seen_before": 0.6, "on_edge": 0.4}
_IN_WORDS = {
    "blank": "show nothing",
    "seen_before": "return to a place seen before",
    "on_edge": "lie on the image's edge",
}


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


def policy_statistics(locations, boxes, sizes):
    """Says how a policy moves over a set of images.

    Args:
        locations: Array `(images, glimpses, 2)`, (x, y) in [-1, 1], or (x, y, z), of
            which the scale does not count.
        boxes: Int array `(images, glimpses, scales, 4)` of `glimpse_boxes`.
        sizes: (height, width) in pixels of the images, or an array `(images, 2)`.

    Returns:
        Dictionary of floats: `spread`, standard deviation between images of the
        locations after the first, in normalised coordinates; `coverage`, mean share of
        pixels inside the finest boxes; `revisits`, share of later glimpses whose finest
        box overlaps that of an earlier one by more than half of its area.
    """
    finest = np.asarray(boxes)[:, :, 0]
    sizes = np.broadcast_to(sizes, (len(finest), 2))[:, None].astype(np.int64)
    low = np.clip(finest[..., :2], 0, sizes)
    high = np.clip(finest[..., 2:], 0, sizes)
    seen = np.array([_covered(*corners) for corners in zip(low, high)])
    starts, ends = finest[..., :2], finest[..., 2:]
    common = np.minimum(ends[:, :, None], ends[:, None])
    common = common - np.maximum(starts[:, :, None], starts[:, None])
    overlap = np.maximum(common, 0).prod(axis=-1)
    areas = (ends - starts).prod(axis=-1)
    earlier = np.tril(np.ones(overlap.shape[1:], bool), k=-1)
    again = ((2 * overlap > areas[:, :, None]) & earlier).any(axis=2)[:, 1:]
    later = np.asarray(locations)[:, 1:, :2]
    return {
        "spread": float(np.sqrt(later.var(axis=0).mean())) if later.size else 0.0,
        "coverage": float(np.mean(seen / sizes[:, 0].prod(axis=1))),
        "revisits": float(again.mean()) if again.size else 0.0,
    }


def _covered(low, high):
    """Counts the pixels inside any of some boxes, of (row, column) `(boxes, 2)`.

    Between the edges of boxes nothing changes: an image of any size is a small grid.
    """
    edges = [np.unique([low[:, axis], high[:, axis]]) for axis in (0, 1)]
    seen = np.zeros([len(each) - 1 for each in edges], bool)
    for start, end in zip(low, high):
        rows, columns = (
            slice(*np.searchsorted(each, (start[axis], end[axis])))
            for axis, each in enumerate(edges)
        )
        seen[rows, columns] = True
    heights, widths = map(np.diff, edges)
    return int(heights @ seen @ widths)


def idle_glimpses(extremes, locations, boxes, background):
    """Says of each glimpse whether it can tell little, in the graph.

    Args:
        extremes: Two float tensors `(images, glimpses, channels)` in [0, 1]: the
            darkest and the brightest of the image in the finest box of each.
        locations: Tensor `(images, glimpses, 2)`, (x, y) in [-1, 1], or (x, y, z).
        boxes: Int tensor `(images, glimpses, scales, 4)` of `glimpse_boxes`.
        background: Float in [0, 1], what is empty in an image, or `None`.

    Returns:
        Dictionary of float32 tensors `(images, glimpses)`, 1 where it holds: `blank`,
        no pixel of the image in the finest box differs from the background by more than
        `FAINTEST`, or, without a background, in any channel no two of them from each
        other; `seen_before`, the centre lies less than half a glimpse, of the finest
        box, from that of an earlier one on both axes; `on_edge`, a coordinate of the
        location is `EDGE` or more in size.
    """
    finest, glimpses = ops.cast(boxes[:, :, 0], "int32"), boxes.shape[1]
    starts, ends = finest[..., :2], finest[..., 2:]
    centres, own = starts + ends, ends - starts  # Twice the centres.
    distance = ops.abs(centres[:, :, None] - centres[:, None])
    near = ops.all(distance < own[:, :, None], axis=-1)
    earlier = ops.tril(ops.ones((glimpses, glimpses), dtype="bool"), -1)
    found = {
        "blank": _shows_nothing(*extremes, background),
        "seen_before": ops.any(ops.logical_and(near, earlier), axis=-1),
        "on_edge": ops.any(ops.abs(locations[..., :2]) >= EDGE, axis=-1),
    }
    return {name: ops.cast(value, "float32") for name, value in found.items()}


def _shows_nothing(low, high, background):
    if background is None:
        return ops.all(high - low <= FAINTEST, axis=-1)
    near = ops.logical_and(high <= background + FAINTEST, low >= background - FAINTEST)
    return ops.all(near, axis=-1)


def likelihood_gains(log_likelihood, num_classes):
    """What each glimpse added to the log-probability of the true class.

    Args:
        log_likelihood: Array `(..., glimpses)`, that log-probability in nats after each
            glimpse.
        num_classes: Int. Before the first glimpse all classes are equally probable.

    Returns:
        Array of the same shape, in nats.
    """
    before = np.full((*log_likelihood.shape[:-1], 1), -np.log(num_classes))
    return np.diff(log_likelihood, axis=-1, prepend=before)


def later_share(shares):
    """The mean over the glimpses after the first of `(glimpses,)`; 0 of none."""
    return float(np.mean(shares[1:])) if len(shares) > 1 else 0.0


def describe_idle(shares):
    """Returns one line if too many glimpses after the first tell little, else `None`.

    Args:
        shares: Dictionary: measure of `idle_glimpses` -> share of the later glimpses.
    """
    parts = [
        f"{shares[name]:.0%} {_IN_WORDS[name]} (tolerated: {most:.0%})"
        for name, most in TOLERATED.items()
        if shares[name] > most
    ]
    if not parts:
        return None
    return f"of the glimpses after the first {', '.join(parts)}"
