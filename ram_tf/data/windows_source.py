"""Data sets of images that stay on disk, or nowhere, and are read in windows."""

import contextlib
import csv
import pathlib

import numpy as np

from ram_tf.data import layout
from ram_tf.data.dataset import Dataset, Split, choose_validation, make_fingerprint
from ram_tf.data.folder import (
    WHOLE,
    check_folds,
    check_shares,
    find,
    make_folder_fingerprint,
    share_out,
)
from ram_tf.data.known_places import choose_known
from ram_tf.data.levels import check_range
from ram_tf.data.notes import Notes
from ram_tf.data.recognition import ending_of
from ram_tf.data.walk import printable, walk
from ram_tf.data.windows import (
    HuntReader,
    HuntWindows,
    UnreadableImage,
    Windows,
    open_reader,
)
from ram_tf.data.windows.hunt import CLASS_NAMES
from ram_tf.data.windows.opening import ENDINGS, is_large
from ram_tf.errors import InputError

TABLE = "labels.csv"


# The keys of `data`, by name.
def windows(
    datapath,
    *,
    validation_fraction=0.1,
    seed=0,
    channels=None,
    test_fraction=0.2,
    num_folds=None,
    fold=0,
    split_seed=0,
    value_range=None,
    max_cache_gigabytes=0.25,
    threads=None,
    measured=None,
):
    """Finds images that are read where a model looks, and never whole.

    They lie in class folders, with or without folders of splits around them, as those
    of `folder`; or in any order, beside a table `labels.csv` of their paths, labels
    and, if it says them, splits. Batches hold their positions in `Dataset.windows`.

    Args:
        datapath: Path of the folder, or of the table.
        validation_fraction: As for `folder`.
        seed: As for `folder`.
        channels: 3, 1 or `None`: as they have, all alike.
        test_fraction: As for `folder`.
        num_folds: As for `folder`.
        fold: As for `folder`.
        split_seed: As for `folder`.
        value_range: As for `folder`.
        max_cache_gigabytes: Number, the most that decoded tiles may take in memory.
        threads: Integer or `None`: one for each processor.
        measured: As for `folder`.

    Returns:
        A `Dataset`.

    Raises:
        InputError: If there are no such images, or some cannot be opened.
    """
    check_folds(num_folds, fold)
    check_shares(test_fraction=test_fraction, validation_fraction=validation_fraction)
    if channels not in (None, 1, 3):
        raise InputError(f"`data.channels` must be 1 or 3. Received: {channels}.")
    value_range = check_range(value_range)
    root, table = _root(datapath)
    if table is None:
        with contextlib.ExitStack() as stack:
            found, listing = find(root, stack, measured, why_not_large)
    else:
        found, listing = _read_table(root, table)
    fingerprint = make_folder_fingerprint(found)
    shares = layout.Shares(
        test_fraction, validation_fraction, split_seed, seed, num_folds, fold
    )
    if measured is None and num_folds is not None and layout.TEST in found.groups:
        raise InputError(
            f"'{datapath}' has a test split of its own, which folds would leave out: "
            "leave `data.num_folds` out."
        )
    groups = share_out(root, found, measured, fingerprint, shares)
    placed = [each for group in groups.values() for each in group]
    options = {"channels": channels, "value_range": value_range}
    opened, notes = _open_all(root, placed, options)
    images = Windows(opened, round(max_cache_gigabytes * 1e9), threads)
    class_names = found.class_names if measured is None else measured.class_names
    numbers = {layout.same_name(name): k for k, name in enumerate(class_names)}
    splits, first = {}, 0
    for split, group in groups.items():
        labels = np.array([numbers[each.class_name] for each in group])
        part = images.take(range(first, first + len(group)))
        splits[split], first = Split(part, labels), first + len(group)
    lacking = None if measured else layout.describe_lacking(class_names, groups)
    lines = [
        f"{printable(str(datapath))}: {layout.describe(found, groups)}",
        _describe_sizes(images),
        *listing.left_out.lines(),
        *listing.notes,
        *notes.lines(),
        *filter(None, [lacking]),
    ]
    (chosen,) = groups if measured else (None,)
    if measured and measured.split is None and chosen == WHOLE:
        lines.append("it has no test split, so all of it is measured")
    return Dataset(
        name="windows",
        class_names=tuple(class_names),
        fingerprint=fingerprint,
        notes=tuple(map(printable, lines)),
        measured=chosen,
        **(dict.fromkeys(layout.SPLITS, splits[chosen]) if measured else splits),
    )


# The keys of `data`, by name.
def hunt(
    datapath=None,
    *,
    validation_fraction=0.1,
    seed=0,
    num_train=512,
    num_test=256,
    sides=(4096,),
    target_side=48,
    channels=1,
    data_seed=0,
    known_places=0.0,
):
    """Makes huge images with one small target, which nothing holds as a whole.

    The class is that of a glyph somewhere in the image. Halos around it, each a quarter
    as wide as the one outside of it, are seen at coarse levels and lead to it, so a
    policy that follows them finds it within a few glimpses, and random places do not.

    Args:
        datapath: Not used.
        validation_fraction: Float, share of the training images that validates.
        seed: Integer, chooses the validation images.
        num_train: Integer, number of training images, validation included.
        num_test: Integer, number of test images.
        sides: Integer or sequence of them: sides of the images in pixels, in turn.
        target_side: Integer, side of the glyph in pixels of level 0.
        channels: Integer; all channels are alike.
        data_seed: Integer, of the images.
        known_places: Float in [0, 1], share of the training images of which training
            may know where the glyph is.

    Returns:
        A `Dataset`.
    """
    sides = (sides,) if isinstance(sides, int) else tuple(sides)
    if not sides or min(num_train, num_test, channels) < 1:
        raise InputError(
            "A hunt has a side or more, and a training image, a test image and a "
            f"channel at least. Received: sides={sides}, num_train={num_train}, "
            f"num_test={num_test}, channels={channels}."
        )
    count = num_train + num_test
    rng = np.random.default_rng(data_seed)
    labels = np.concatenate(
        [
            rng.permutation(np.arange(n) % len(CLASS_NAMES))
            for n in (num_train, num_test)
        ]
    )
    readers = [
        HuntReader(
            sides[number % len(sides)],
            labels[number],
            target_side,
            channels,
            seed=(data_seed, number),
        )
        for number in range(count)
    ]
    # Python computes them, and its threads would wait for each other.
    alike = len(set(sides)) == 1
    images = HuntWindows(readers) if alike else Windows(readers, threads=1)
    train, validation = choose_validation(num_train, validation_fraction, seed)
    known, notes = choose_known(known_places, len(train), seed)
    places = None if known is None else np.array([readers[n].location for n in train])
    made_of = (num_train, num_test, sides, target_side, channels, data_seed)

    def split(numbers, **known):
        return Split(images.take(numbers), labels[numbers], **known)

    return Dataset(
        name="hunt",
        train=split(train, known=known, own_places=places),
        validation=split(validation),
        test=split(np.arange(num_train, count)),
        class_names=CLASS_NAMES,
        fingerprint=make_fingerprint(count, [repr(made_of).encode()]),
        notes=notes,
    )


def _root(datapath):
    """Returns the folder of the images, and the path of their table or `None`."""
    if datapath is None or not pathlib.Path(datapath).exists():
        raise InputError(
            f"The datapath '{datapath}' does not exist. Give a folder of class "
            f"folders of images, or of images with a table {TABLE}."
        )
    datapath = pathlib.Path(datapath)
    if datapath.is_dir():
        table = datapath / TABLE
        return datapath, table if table.exists() else None
    if datapath.suffix.lower() == ".csv":
        return datapath.parent, datapath
    raise InputError(
        f"'{datapath}' is a file, and images in an archive cannot be read in windows: "
        f"unpack it, and give the folder, or the table {TABLE}."
    )


def why_not_large(name, open_file):
    """Says why a file is none that is read in windows, as `recognise` does.

    Args:
        name: String, the file's name.
        open_file: Function that opens it.

    Returns:
        `None` of such an image, else a reason, which may be empty.
    """
    if ending_of(name) in ENDINGS:
        return None
    try:
        with open_file() as file:
            return None if is_large(file.read(8)) else ""
    except OSError:
        return "cannot be read"


def _read_table(root, table):
    """Returns the `Layout` of the images of a table, and the folder's `Listing`."""
    with contextlib.ExitStack() as stack:
        listing = walk(root, stack)
    files = {file.name: file for file in listing.files}
    groups, seen = {}, {}
    for line, row in _rows(table):
        path, label = row["path"].strip(), layout.same_name(row["label"].strip())
        where = f"Line {line} of '{table}'"
        if not label:
            raise InputError(f"{where} has no label. Give each image one.")
        name = pathlib.PurePosixPath(path).as_posix()
        if name not in files:
            raise InputError(
                f"{where} names '{path}', which is no file in '{root}'. Paths are "
                "relative to the folder of the table."
            )
        if name in seen:
            raise InputError(
                f"{where} names '{path}' again, after line {seen[name]}. Name each "
                "image once."
            )
        seen[name] = line
        split = WHOLE
        if "split" in row:
            split = layout.split_of((row["split"] or "").strip())
            if split is None:
                raise InputError(
                    f"{where} has the split {row['split']!r}. Use train, validation or "
                    "test in every line, or no such column."
                )
        placed = layout.Placed(files[name], label, f"{label}/{name}")
        groups.setdefault(split, []).append(placed)
    names = sorted({placed.class_name for group in groups.values() for placed in group})
    others = [name for name in files if name not in seen and name != table.name]
    for name in others:
        listing.left_out.add(f"not in {table.name}", name)
    if len(names) < 2:
        raise InputError(
            f"'{table}' has {len(names)} labels; expected 2 or more, and a line for "
            "each image."
        )
    if WHOLE not in groups and layout.TRAIN not in groups:
        raise InputError(f"'{table}' has no image to train on: give some split train.")
    named = {} if WHOLE in groups else {split: table.name for split in groups}
    return layout.Layout(groups, named, tuple(names), []), listing


def _rows(table):
    """Yields the number of each line of a table, and its values by column."""
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            columns = [name.strip() for name in rows.fieldnames or ()]
            rows.fieldnames = columns
            if not {"path", "label"} <= set(columns):
                raise InputError(
                    f"'{table}' must have the columns path and label, and may have "
                    f"split. Received: {', '.join(columns) or 'nothing'}."
                )
            for row in rows:
                if None in row or None in row.values():
                    raise InputError(
                        f"Line {rows.line_num} of '{table}' has not {len(columns)} "
                        "columns as the first line has."
                    )
                yield rows.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"'{table}' cannot be read: {error}.") from error


def _open_all(root, placed, options):
    """Returns the readers of images, and `Notes` about them."""
    opened, failed, notes = [], [], Notes()
    for each in placed:
        try:
            reader = open_reader(root.joinpath(*each.file.parts), **options)
        except UnreadableImage as error:
            failed.append(error)
            continue
        opened.append(reader)
        for note in reader.notes:
            notes.add(note, each.file.name)
    if len(failed) == 1:
        raise failed[0]
    if failed:
        raise InputError(
            f"{len(failed)} of {len(placed)} images cannot be read. The first: "
            f"{failed[0]}"
        )
    return opened, notes


def _describe_sizes(images):
    smallest, largest = (
        images.sizes[pick(images.sizes.prod(axis=1))] for pick in (np.argmin, np.argmax)
    )
    most = max(len(reader.levels) for reader in images.readers)
    known = int(np.isfinite(images.micrometres).sum())
    return (
        f"read in windows: {smallest[0]:,} x {smallest[1]:,} to {largest[0]:,} x "
        f"{largest[1]:,} pixels, {images.channels} channels, up to {most} levels; "
        f"{known} of {len(images)} say their micrometres a pixel"
    )
