"""Tiny images whose class no single glimpse tells."""

import numpy as np

from ram_tf.data.dataset import Dataset, Split, choose_validation
from ram_tf.data.transforms import size_pair
from ram_tf.errors import InputError

LIT, DIM = 255, 120


# The keys of `data`, by name.
def xor(
    datapath=None,
    *,
    validation_fraction=0.1,
    seed=0,
    num_train=256,
    num_test=128,
    image_size=(12, 20),
    patch_size=4,
    data_seed=0,
):
    """Makes dark, noisy images with a square at the left and one at the right.

    Each square is bright or dim, and the class is whether just one of the two is
    bright. Either square by itself, like every other place, says nothing of the class:
    a policy that looks where the next glimpse gains most stays at chance, one that
    looks further ahead sees both.

    Args:
        datapath: Not used.
        validation_fraction: Float, share of the training images that validates.
        seed: Integer, chooses the validation images.
        num_train: Integer, number of training images, validation included.
        num_test: Integer, number of test images.
        image_size: Integer or (height, width).
        patch_size: Integer >= 1, side of the squares in pixels.
        data_seed: Integer, of the images.

    Returns:
        A `Dataset`. Of four images in a row each has another pair of squares, before
        they are mixed.
    """
    size = size_pair(image_size, "image_size")
    if not 1 <= patch_size <= min(size[0], (size[1] - 1) // 2):
        raise InputError(
            f"data.patch_size must be 1 or more, and two squares of it must fit beside "
            f"each other into images of {size[0]} x {size[1]} pixels, got {patch_size}."
        )
    rng = np.random.default_rng(data_seed)
    top = (size[0] - patch_size) // 2
    rows = slice(top, top + patch_size)

    def make(count):
        kind = rng.permutation(np.arange(count) % 4)
        left, right = kind // 2, kind % 2
        images = rng.integers(0, 40, (count, *size), dtype=np.uint8)
        levels = np.array([DIM, LIT], np.uint8)
        images[:, rows, :patch_size] = levels[left][:, None, None]
        images[:, rows, -patch_size:] = levels[right][:, None, None]
        return images[..., None], left ^ right

    images, labels = make(num_train)
    train, validation = choose_validation(num_train, validation_fraction, seed)
    return Dataset(
        name="xor",
        train=Split(images[train], labels[train]),
        validation=Split(images[validation], labels[validation]),
        test=Split(*make(num_test)),
        class_names=("alike", "different"),
        background=0.0,
    )
