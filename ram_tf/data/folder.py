"""Any folder of class folders, or an archive of one, as a data set."""

import contextlib
import functools
import os
import pathlib

import numpy as np

from ram_tf.data import layout
from ram_tf.data.archive import list_files
from ram_tf.data.cache import state_of_files
from ram_tf.data.dataset import Dataset, Split, make_fingerprint
from ram_tf.data.photographs import Photographs
from ram_tf.data.reading import Cache, decode_all
from ram_tf.data.transforms import HorizontalFlip, size_pair
from ram_tf.errors import InputError


# The keys of `data`, by name.
def folder(
    datapath,
    *,
    validation_fraction=0.1,
    seed=0,
    image_size=None,
    square=None,
    smallest_square=1.0,
    flip=False,
    channels=3,
    test_fraction=0.2,
    num_folds=None,
    fold=0,
    split_seed=0,
    max_gigabytes=8,
    cache_gigabytes=100,
):
    """Reads a folder with one folder of images for each class.

    The folder may hold `train/`, `test/` and `val/` (also `valid/`, `validation/`) with
    the class folders inside; without `test/`, a share of each class is the test split.
    A .tar, .tar.gz or .zip of such a folder is read without extracting it to disk.
    Other files than images, and hidden ones, are ignored. Transparent pixels become
    white; of an animation the first picture counts.

    Args:
        datapath: Path of the folder or the archive.
        validation_fraction: Float, share of the training images that validates, where
            there is no `val/`.
        seed: Integer, chooses the validation images.
        image_size: Integer, (height, width), or `None`: as they are, all of one size.
            Images are cropped around the centre to the ratio, then resized.
        square: Integer or `None`. Instead, keep images of any sizes as they are, and
            cut the largest square from each when it is read, resized to this side: at a
            random place in training, at the centre elsewhere.
        smallest_square: Float in (0, 1]. In training, the side of the square that is
            cut is drawn from this share of the shorter side up to all of it.
        flip: Boolean. Mirror training images at random, anew each epoch.
        channels: 3 for colour or 1 for grey.
        test_fraction: Float in (0, 1), where there is no `test/`.
        num_folds: Integer >= 2 or `None`. For cross-validation: divide each class into
            so many parts, one of which is the test split, instead of `test_fraction`.
        fold: Integer in [0, `num_folds`), which one.
        split_seed: Integer, chooses the test images there, or the parts.
        max_gigabytes: Number, the most that the decoded images may take in memory. More
            are decoded once into a file in `~/.cache/ram_tf` and read from there.
        cache_gigabytes: Number, the most that all such files may take; those that were
            used least recently are removed. 0 makes none.

    Returns:
        A `Dataset`.
    """
    if image_size is not None:
        image_size = size_pair(image_size, "image_size")
    _check_options(image_size, square, channels, test_fraction, num_folds, fold)
    if datapath is None or not pathlib.Path(datapath).exists():
        raise InputError(
            f"The datapath '{datapath}' does not exist. Give a folder of class "
            "folders, or a .tar, .tar.gz or .zip of one."
        )
    datapath = pathlib.Path(datapath)
    with contextlib.ExitStack() as stack:
        entries, folders = list_files(datapath, stack)
        groups, class_names = layout.group(datapath, entries, folders)
        if num_folds is not None and "test" in groups:
            raise InputError(
                f"'{datapath}' has a test/ of its own, which folds would leave out: "
                "give a folder of class folders, or leave `data.num_folds` out."
            )
        hold_out = functools.partial(layout.hold_out, fraction=test_fraction)
        if num_folds is not None:
            hold_out = functools.partial(
                layout.hold_out_fold, fold=fold, num_folds=num_folds
            )
        groups = layout.split(groups, hold_out, split_seed, validation_fraction, seed)
        any_size = square is not None
        entries = [entry for examples in groups.values() for entry, _ in examples]
        fingerprint = _fingerprint(entries)
        images = decode_all(
            groups,
            image_size,
            any_size,
            channels,
            max_gigabytes,
            cache=Cache(
                of=f"'{datapath}'",
                state=lambda: fingerprint + state_of_files(datapath, entries),
                gigabytes=cache_gigabytes,
            ),
        )
    if any_size:
        images = {
            split: Photographs(of_split, square, split == "train", smallest_square)
            for split, of_split in images.items()
        }
    labels = {split: [label for _, label in groups[split]] for split in groups}
    return Dataset(
        name="folder",
        class_names=class_names,
        fingerprint=fingerprint,
        **{
            split: Split(
                images[split],
                np.array(labels[split]),
                (HorizontalFlip(),) if flip and split == "train" else (),
            )
            for split in groups
        },
    )


def _check_options(image_size, square, channels, test_fraction, num_folds, fold):
    if image_size is not None and square is not None:
        raise InputError(
            f"`data.image_size` is {image_size} and `data.square` {square}: "
            "images are kept in one of the two ways. Make one of them None."
        )
    if num_folds is not None and not 0 <= fold < num_folds >= 2:
        raise InputError(
            "`data.num_folds` must be at least 2, and `data.fold` from 0 to one less. "
            f"Received: num_folds={num_folds}, fold={fold}."
        )
    if channels not in (1, 3):
        raise InputError(f"`data.channels` must be 1 or 3. Received: {channels}.")
    if not 0 < test_fraction < 1:
        raise InputError(
            "`data.test_fraction` must lie between 0 and 1, both excluded. "
            f"Received: {test_fraction}."
        )


def _fingerprint(entries):
    """Of the images' names below what is around all of them, and of their sizes."""
    around = len(os.path.commonprefix([entry.parts[:-1] for entry in entries]))
    listed = [
        os.fsencode(f"{'/'.join(entry.parts[around:])} {entry.size()}")
        for entry in entries
    ]
    return make_fingerprint(len(entries), sorted(listed))
