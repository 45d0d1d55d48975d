"""What is needed to draw how a model looked."""

import numpy as np

from ram_tf import random


def record(network, policy, images, num_glimpses, seed=0):
    """Looks at images and keeps what is needed to draw it.

    Args:
        network: A built `AttentionModel`.
        policy: Where to look.
        images: Array `(images, height, width, channels)`, uint8 or float in [0, 1].
        num_glimpses: Int.
        seed: Int.

    Returns:
        Dictionary of arrays: `images` as floats in [0, 1]; `locations` `(n, T, 2)`;
        `boxes` `(n, T, scales, 4)` in pixels; `probabilities` `(n, T, classes)`;
        `glimpses` `(n, T, scales, side, side, channels)`, as floats in [0, 1] but for
        what a sensor adds outside the image; of a policy that predicts one, `gain` `(n,
        T - 1, rows, columns)`, the expected information gain of each cell in nats,
        minus infinity where seen; of one that weighs regions of a context,
        `region_weights` `(n, T, rows, columns)`.
    """
    images = np.asarray(images)
    seed = random.make_seed(seed)
    result = network(images, policy=policy, num_glimpses=num_glimpses, seed=seed)
    context = network.prepare(images)
    glimpses = _sense_again(network, policy, context, result.locations, seed)
    logits = np.asarray(result.logits, "float64")
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    pixels = images / 255.0 if images.dtype == np.uint8 else images
    recording = {
        "images": np.clip(pixels, 0.0, 1.0).astype("float32"),
        "locations": np.asarray(result.locations),
        "boxes": np.asarray(network.glimpse_boxes(result.locations, images.shape[1:3])),
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
