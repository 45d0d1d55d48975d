"""What is needed to draw how a model looked."""

import numpy as np

from ram_tf import random

_THUMBNAIL = 512


def thumbnails(windows, positions):
    """What is drawn of images that are read in windows.

    Args:
        windows: `data.windows.Windows`.
        positions: Int array `(images,)`.

    Returns:
        Dictionary of arrays: `images` `(images, side, side, channels)`, floats in [0,
        1], each image in the top left corner; `sizes` `(images, 2)`, (height, width) of
        level 0; `micrometres` `(images,)`, of a pixel of level 0, NaN where nobody
        knows.
    """
    pixels = [windows.thumbnail(each, _THUMBNAIL) for each in positions]
    side = max(max(each.shape[:2]) for each in pixels)
    images = np.ones((len(pixels), side, side, pixels[0].shape[-1]), "float32")
    for whole, each in zip(images, pixels):
        whole[: each.shape[0], : each.shape[1]] = each / np.float32(255)
    return {
        "images": images,
        "sizes": np.asarray(windows.sizes)[positions],
        "micrometres": np.asarray(windows.micrometres, float)[positions],
    }


def record(network, policy, images, num_glimpses, seed=0):
    """Looks at images and keeps what is needed to draw it.

    Args:
        network: A built `AttentionModel`.
        policy: Where to look.
        images: Array `(images, height, width, channels)`, uint8 or float in [0, 1]; or
            `(images,)`, positions in the windows that the network looks into.
        num_glimpses: Int.
        seed: Int.

    Returns:
        Dictionary of arrays: `images` as floats in [0, 1]; `locations` `(n, T, 2)`;
        `boxes` `(n, T, scales, 4)` in pixels; `probabilities` `(n, T, classes)`;
        `glimpses` `(n, T, scales, side, side, channels)`, as floats in [0, 1] but for
        what a sensor adds outside the image; of a policy that predicts one, `gain` `(n,
        T - 1, rows, columns)`, the expected information gain of each cell in nats,
        minus infinity where seen; of one that weighs regions of a context,
        `region_weights` `(n, T, rows, columns)`. Of windows, `images` and what else
        `thumbnails` returns.
    """
    images = np.asarray(images)
    seed = random.make_seed(seed)
    result = network(images, policy=policy, num_glimpses=num_glimpses, seed=seed)
    context = network.prepare(images)
    glimpses = _sense_again(network, policy, context, result.locations, seed)
    logits = np.asarray(result.logits, "float64")
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    recording = {
        **_shown(network, images),
        "locations": np.asarray(result.locations),
        "boxes": np.asarray(
            network.glimpse_boxes(result.locations, network.image_sizes(images))
        ),
        "probabilities": exponentials / exponentials.sum(axis=-1, keepdims=True),
        "glimpses": np.asarray(network.denormalize(glimpses), "float32"),
    }
    if "gain" in result.extras:
        gain = np.asarray(result.extras["gain"], "float32")
        recording["gain"] = gain.reshape(*gain.shape[:2], *network.grid)
    if "region_weights" in result.extras:
        weights = np.asarray(result.extras["region_weights"], "float32")
        side = round(weights.shape[-1] ** 0.5)
        recording["region_weights"] = weights.reshape(*weights.shape[:2], side, side)
    return recording


def _shown(network, images):
    if network.sensor is not None:
        return thumbnails(network.sensor.windows, images)
    pixels = images / 255.0 if images.dtype == np.uint8 else images
    return {"images": np.clip(pixels, 0.0, 1.0).astype("float32")}


def _sense_again(network, policy, context, locations, seed):
    """The glimpses of a rollout, with the noise that its sensor drew from `seed`."""
    num_glimpses = locations.shape[1]
    seeds = random.rollout_seeds(seed, num_glimpses)
    state = network.initial_state(network.begin(context, num_glimpses))
    plan = policy.plan(network, context, state, num_glimpses, seeds.start)
    # All places of a plan are sensed at once, and what is looked at again is not.
    num_seen = num_glimpses if plan is None else plan.shape[1]
    at_once = 1 if plan is None else num_seen
    glimpses = [
        np.asarray(
            network.sense(
                context, locations[:, first : first + at_once], seed=seeds.sense[first]
            )
        )
        for first in range(0, num_seen, at_once)
    ]
    glimpses = np.concatenate(glimpses, axis=1)
    return glimpses[:, np.minimum(np.arange(num_glimpses), num_seen - 1)]
