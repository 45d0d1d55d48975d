"""How a policy moves, and how much of an image it can see."""

import numpy as np

COLLAPSED_SPREAD = 0.02


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
