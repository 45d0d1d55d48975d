"""Any folder of class folders, or an archive of one, as a data set."""

import contextlib
import os
import pathlib
from typing import NamedTuple

import numpy as np

from ram_tf.data import layout
from ram_tf.data.cache import state_of_files
from ram_tf.data.dataset import Dataset, Split, make_fingerprint
from ram_tf.data.levels import check_range
from ram_tf.data.notes import Notes
from ram_tf.data.photographs import Photographs
from ram_tf.data.reading import Cache, decode_all
from ram_tf.data.recognition import recognise
from ram_tf.data.transforms import HorizontalFlip, size_pair
from ram_tf.data.walk import printable, walk
from ram_tf.errors import InputError

WHOLE = "all"
_SHOWN = 3


class Measured(NamedTuple):
    """What a trained model is measured on.

    Attributes:
        class_names: Those of the model; labels are numbers of these.
        fingerprint: That of the data it was trained on, or `None`.
        split: "train", "validation", "test", "all", or `None`: the test split of data
            that are divided or that it was trained on, else all.
    """

    class_names: tuple
    fingerprint: str | None = None
    split: str | None = None


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
    value_range=None,
    cache_gigabytes=100,
    measured=None,
):
    """Reads a folder with one folder of images for each class.

    The folder may hold folders of splits with the class folders inside: `train`, `test`
    and `val`, in any case, also `Training`, `validation`, `test_images`,
    `flowers_train`. Without a test split, a share of the pictures is one, and without
    validation a share of the training pictures. Whether a picture belongs to it
    depends on a hash of the picture's path alone, so that other pictures may come and
    go. A .tar, .tar.gz or .zip of such a folder is read without extracting it to disk.

    What is a picture is known by its content. Other files are left out, which the
    `notes` of the `Dataset` say, and hidden ones and folders of runs. Transparent
    pixels become white; of an animation the first picture counts.

    Args:
        datapath: Path of the folder or the archive.
        validation_fraction: Float, share of the training images that validates, where
            there is no validation split.
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
        test_fraction: Float in (0, 1), where there is no test split.
        num_folds: Integer >= 2 or `None`. For cross-validation: divide the pictures by
            their hashes into so many parts, one of which is the test split, instead of
            `test_fraction`.
        fold: Integer in [0, `num_folds`), which one.
        split_seed: Integer, chooses the test images there, or the parts.
        max_gigabytes: Number, the most that the decoded images may take in memory. More
            are decoded once into a file in `~/.cache/ram_tf` and read from there.
        cache_gigabytes: Number, the most that all such files may take; those that were
            used least recently are removed. 0 makes none.
        value_range: Two numbers or `None`. Of images of more than 8 bits, the values
            that become black and white, as (0, 4095); by default the full scale.
        measured: `Measured` or `None`. To measure a trained model: one split is read,
            and is all three of the `Dataset`. It may lack classes of the model.

    Returns:
        A `Dataset`.
    """
    if image_size is not None:
        image_size = size_pair(image_size, "image_size")
    value_range = check_range(value_range)
    _check_options(image_size, square, channels)
    check_folds(num_folds, fold)
    check_shares(test_fraction=test_fraction, validation_fraction=validation_fraction)
    if datapath is None or not pathlib.Path(datapath).exists():
        raise InputError(
            f"The datapath '{datapath}' does not exist. Give a folder of class "
            "folders, or a .tar, .tar.gz or .zip of one."
        )
    datapath = pathlib.Path(datapath)
    with contextlib.ExitStack() as stack:
        found, listing = find(datapath, stack, measured)
        has_test = layout.TEST in found.groups
        if measured is None and num_folds is not None and has_test:
            raise InputError(
                f"'{datapath}' has a test split of its own, which folds would leave "
                "out: give a folder of class folders, or leave `data.num_folds` out."
            )
        shares = layout.Shares(
            test_fraction, validation_fraction, split_seed, seed, num_folds, fold
        )
        fingerprint = make_folder_fingerprint(found)
        groups = share_out(datapath, found, measured, fingerprint, shares)
        every, decoding = [each.file for each in found.everything()], Notes()
        images, digests = decode_all(
            {split: [each.file for each in placed] for split, placed in groups.items()},
            image_size,
            square is not None,
            channels,
            max_gigabytes,
            value_range=value_range,
            notes=decoding,
            cache=Cache(
                of=f"'{datapath}'",
                files=every,
                state=lambda: fingerprint + state_of_files(datapath, every),
                gigabytes=cache_gigabytes,
            ),
        )
    class_names = found.class_names if measured is None else measured.class_names
    lacking = None if measured else layout.describe_lacking(class_names, groups)
    notes = [
        f"{printable(str(datapath))}: {layout.describe(found, groups)}",
        *listing.left_out.lines(),
        *listing.notes,
        *decoding.lines(),
        *filter(None, [lacking, _describe_shared(groups, digests)]),
    ]
    if square is not None:
        images = {
            split: Photographs(of_split, square, split == "train", smallest_square)
            for split, of_split in images.items()
        }
    numbers = {layout.same_name(name): k for k, name in enumerate(class_names)}
    splits = {
        split: Split(
            images[split],
            np.array([numbers[each.class_name] for each in placed]),
            (HorizontalFlip(),) if flip and split == "train" else (),
        )
        for split, placed in groups.items()
    }
    (chosen,) = groups if measured else (None,)
    if measured and measured.split is None and chosen == WHOLE:
        notes.append(
            "it has no test split, so all of it is measured; --split=test takes the "
            "pictures that a run on it would test on"
        )
    return Dataset(
        name="folder",
        class_names=tuple(class_names),
        fingerprint=fingerprint,
        notes=tuple(map(printable, notes)),
        measured=chosen,
        **(dict.fromkeys(layout.SPLITS, splits[chosen]) if measured else splits),
    )


def find(datapath, stack, measured, why_not=recognise):
    """Returns the `Layout` of the pictures at a path, and the `Listing`.

    Args:
        datapath: `pathlib.Path` of a folder or an archive.
        stack: `contextlib.ExitStack` that closes the archive.
        measured: `Measured` or `None`.
        why_not: As for `Listing.pictures`.
    """
    listing = walk(datapath, stack)
    pictures = listing.pictures(why_not)
    known = None if measured is None else measured.class_names
    try:
        found = layout.arrange(datapath, pictures, listing.folders, known)
    except InputError as error:
        lines = [*listing.left_out.lines(), *listing.notes]
        raise InputError(" ".join([str(error), *lines])) from error
    for file in found.loose:
        listing.left_out.add("pictures beside the class folders", file.name)
    return found, listing


def share_out(datapath, found, measured, fingerprint, shares):
    """Returns {split: pictures}, of data to measure a model on one split alone.

    Args:
        datapath: Where they are, for messages.
        found: `Layout`.
        measured: `Measured` or `None`.
        fingerprint: String, that of the data.
        shares: `Shares`.
    """
    if measured is None:
        return layout.divide(found, shares)
    return _choose(datapath, found, measured, fingerprint, shares)


def _choose(datapath, found, measured, fingerprint, shares):
    """Returns {split: pictures} of the one split that a model is measured on."""
    split, given = measured.split, found.groups
    if split is None:
        is_own = fingerprint == measured.fingerprint
        split = layout.TEST if layout.TEST in given or is_own else WHOLE
    if split == WHOLE:
        chosen = found.everything()
    elif split in given:
        chosen = given[split]
    elif {layout.TRAIN, WHOLE} & set(given):
        chosen = layout.divide(found, shares)[split]
    else:
        raise InputError(
            f"'{datapath}' has no {split} split, and none to draw it from: it holds "
            f"{', '.join(given)}."
        )
    names = {placed.class_name for placed in chosen}
    unknown = sorted(names - set(map(layout.same_name, measured.class_names)))
    if unknown:
        raise InputError(
            f"'{datapath}' has pictures of classes that the model does not know: "
            f"{_shorten(unknown)}. It knows {_shorten(measured.class_names)}: rename "
            "the folders, or leave others out."
        )
    return {split: chosen}


def _shorten(names, most=20):
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _describe_shared(groups, digests):
    """Returns a line about contents that are in several splits, or `None`."""
    places = {}
    for split, placed in groups.items():
        for each, digest in zip(placed, digests[split], strict=True):
            places.setdefault(digest, {}).setdefault(split, each.file.name)
    shared = [found for found in places.values() if len(found) > 1]
    if not shared:
        return None
    shown = "; ".join(
        " = ".join(f"{split} {name}" for split, name in found.items())
        for found in shared[:_SHOWN]
    )
    more = "; ..." if len(shared) > _SHOWN else ""
    what = "1 picture is" if len(shared) == 1 else f"{len(shared)} pictures are"
    return (
        f"warning: {what} in several splits with the same content ({shown}{more}): "
        "what is tested is not new to the model"
    )


def _check_options(image_size, square, channels):
    if image_size is not None and square is not None:
        raise InputError(
            f"`data.image_size` is {image_size} and `data.square` {square}: "
            "images are kept in one of the two ways. Make one of them None."
        )
    if channels not in (1, 3):
        raise InputError(f"`data.channels` must be 1 or 3. Received: {channels}.")


def check_folds(num_folds, fold):
    """Refuses parts of a cross-validation that there are not."""
    if num_folds is not None and not 0 <= fold < num_folds >= 2:
        raise InputError(
            "`data.num_folds` must be at least 2, and `data.fold` from 0 to one less. "
            f"Received: num_folds={num_folds}, fold={fold}."
        )


def check_shares(**shares):
    """Refuses shares, given by the names of their keys, that are none."""
    for name, share in shares.items():
        if not 0 < share < 1:
            raise InputError(
                f"`data.{name}` must lie between 0 and 1, both excluded. "
                f"Received: {share}."
            )


def make_folder_fingerprint(found):
    """Returns the fingerprint of pictures: of the rule of splits, and of their paths
    in the data set and sizes.

    Args:
        found: `Layout`.
    """
    listed = [
        os.fsencode(
            f"{split + '/' if found.divided else ''}{placed.path} {placed.file.size()}"
        )
        for split, group in found.groups.items()
        for placed in group
    ]
    return f"{make_fingerprint(len(listed), sorted(listed))}, {layout.RULE}"
