"""Tiny images made in code, where knowing where to look pays."""

import numpy as np

from ram_tf.data.dataset import Dataset, Split, choose_validation
from ram_tf.data.transforms import size_pair
from ram_tf.errors import InputError

POINTER_RADIUS = 3


# The keys of `data`, by name.
def synthetic(
    datapath=None,
    *,
    validation_fraction=0.1,
    seed=0,
    num_train=256,
    num_test=128,
    image_size=(20, 20),
    num_classes=4,
    channels=1,
    patch_size=4,
    data_seed=0,
):
    """Makes dark, noisy images with one informative place each.

    A pattern of the class lies at a random place; a bright line from the centre points
    to it. Patterns of all classes have equally many bright pixels, so the class can be
    read nowhere but there, and a policy that follows the line beats a random one.

    Args:
        datapath: Not used.
        validation_fraction: Float, share of the training images that validates.
        seed: Integer, chooses the validation images.
        num_train: Integer, number of training images, validation included.
        num_test: Integer, number of test images.
        image_size: Integer or (height, width).
        num_classes: Integer >= 2.
        channels: Integer; all channels are alike.
        patch_size: Integer >= 2, side of the pattern in pixels.
        data_seed: Integer, of the patterns and the images.

    Returns:
        A `Dataset`.
    """
    size = size_pair(image_size, "image_size")
    rng = np.random.default_rng(data_seed)
    patterns = _patterns(rng, num_classes, patch_size)
    places = _places(size, patch_size)

    def make(count):
        labels = rng.permutation(np.arange(count) % num_classes)
        images = rng.integers(0, 40, (count, *size), dtype=np.uint8)
        centre = (np.array(size) - 1) / 2
        for image, label in zip(images, labels, strict=True):
            place = places[rng.integers(len(places))]
            image[
                place[0] : place[0] + patch_size, place[1] : place[1] + patch_size
            ] = np.where(patterns[label], 255, 0)
            away = place + (patch_size - 1) / 2 - centre
            steps = np.linspace(0, POINTER_RADIUS, 2 * POINTER_RADIUS + 1)[:, None]
            line = np.rint(centre + steps * away / np.hypot(*away)).astype(int)
            image[line[:, 0], line[:, 1]] = 200
        return np.repeat(images[..., None], channels, axis=-1), labels

    images, labels = make(num_train)
    train, validation = choose_validation(num_train, validation_fraction, seed)
    return Dataset(
        name="synthetic",
        train=Split(images[train], labels[train]),
        validation=Split(images[validation], labels[validation]),
        test=Split(*make(num_test)),
        class_names=tuple(f"pattern {k}" for k in range(num_classes)),
        background=0.0,
    )


def _patterns(rng, num_classes, patch_size):
    """Returns `(num_classes, p, p)`, half bright each, as unlike as we can find."""
    pixels = patch_size**2
    half = np.arange(pixels) < pixels // 2
    candidates = rng.permuted(np.tile(half, (50 * num_classes, 1)), axis=1)
    chosen = candidates[:1]
    while 1 <= len(chosen) < num_classes:
        distances = (candidates[:, None] != chosen).sum(-1).min(1)
        if not distances.max():
            break
        chosen = np.concatenate([chosen, candidates[[distances.argmax()]]])
    if num_classes < 2 or len(chosen) < num_classes:
        raise InputError(
            f"There are not {num_classes} different patterns of {patch_size} x "
            f"{patch_size} pixels. Use 2 classes or more, or a larger patch_size."
        )
    return chosen.reshape(num_classes, patch_size, patch_size)


def _places(size, patch_size):
    """Returns `(n, 2)`, the corners where the pattern leaves the pointer alone."""
    rows, columns = (np.arange(max(side - patch_size + 1, 0)) for side in size)
    places = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)
    middle = places + (patch_size - 1) / 2 - (np.array(size) - 1) / 2
    places = places[(np.abs(middle) > POINTER_RADIUS + patch_size / 2 + 1).any(-1)]
    if not len(places):
        raise InputError(
            f"Images of {size[0]} x {size[1]} pixels have no room for a pattern of "
            f"{patch_size} beside the pointer. Use a larger image_size."
        )
    return places
