"""How a policy moves, and how much of an image it can see."""

import numpy as np
from keras import ops

from ram_tf.ops import cut_patches

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


def policy_statistics(locations, boxes, image_size):
    """Says how a policy moves over a set of images.

    Args:
        locations: Array `(images, glimpses, 2)`, (x, y) in [-1, 1], or (x, y, z), of
            which the scale does not count.
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
        "coverage": float(seen.mean()),
        "revisits": float(again.mean()) if again.size else 0.0,
    }


def idle_glimpses(images, locations, boxes, side, background):
    """Says of each glimpse whether it can tell little, in the graph.

    Args:
        images: Tensor `(images, height, width, channels)`, uint8, or float in [0, 1].
        locations: Tensor `(images, glimpses, 2)`, (x, y) in [-1, 1], or (x, y, z).
        boxes: Int tensor `(images, glimpses, scales, 4)` of `glimpse_boxes`.
        side: Int, side of the finest box; `None` where each has its own.
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
        "blank": _shows_nothing(images, finest, side, background),
        "seen_before": ops.any(ops.logical_and(near, earlier), axis=-1),
        "on_edge": ops.any(ops.abs(locations[..., :2]) >= EDGE, axis=-1),
    }
    return {name: ops.cast(value, "float32") for name, value in found.items()}


def _shows_nothing(images, boxes, side, background):
    scale = 255.0 if images.dtype == "uint8" else 1.0
    if side is None:
        low, high = _extremes(images, boxes)
    else:  # Outside, the border repeats itself.
        patches = cut_patches(images, boxes[..., :2], side)
        low, high = ops.min(patches, axis=(2, 3)), ops.max(patches, axis=(2, 3))
    low = ops.cast(low, "float32") / scale
    high = ops.cast(high, "float32") / scale
    if background is None:
        return ops.all(high - low <= FAINTEST, axis=-1)
    near = ops.logical_and(high <= background + FAINTEST, low >= background - FAINTEST)
    return ops.all(near, axis=-1)


def _extremes(images, boxes):
    """The darkest and the brightest of the image in each box of any size.

    Every box holds a pixel of the image, for its middle lies on it.
    """
    sides = images.shape[1:3]
    # Of a middle on the far edge, the last pixel counts as in the box.
    low = ops.minimum(boxes[..., :2], [side - 1 for side in sides])
    high = ops.maximum(boxes[..., 2:], 1)
    rows, columns = (
        ops.logical_and(
            ops.arange(side) >= low[..., axis, None],
            ops.arange(side) < high[..., axis, None],
        )
        for axis, side in enumerate(sides)
    )
    inside = ops.logical_and(rows[..., :, None], columns[..., None, :])[..., None]
    pixels = ops.cast(images, "float32")[:, None]
    darkest = ops.min(ops.where(inside, pixels, float("inf")), axis=(2, 3))
    return darkest, ops.max(ops.where(inside, pixels, -float("inf")), axis=(2, 3))


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
