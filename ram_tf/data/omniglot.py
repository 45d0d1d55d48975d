"""Omniglot as an open set: some alphabets are never seen in training."""

import contextlib

import numpy as np

from ram_tf.data.dataset import UNKNOWN, Dataset, Split, choose_validation
from ram_tf.data.decode import decode_image
from ram_tf.data.transforms import size_pair
from ram_tf.data.walk import walk
from ram_tf.errors import InputError

URL = "https://github.com/brendenlake/omniglot/tree/master/python"
SIDE = 105


# The keys of `data`, by name.
def omniglot(
    datapath,
    *,
    validation_fraction=0.1,
    seed=0,
    image_size=None,
    known_share=0.5,
    test_drawers=4,
    split_seed=0,
):
    """Reads handwritten characters; tells their alphabet, or that it is unknown.

    Alphabets are divided by `split_seed` alone into three: known ones, each a class;
    those that training sees as the last class, "unknown"; and those that only the test
    sees, as unknown too. Of known alphabets, some of the 20 drawers are for the test
    alone.

    Reads whichever `images_background*.zip` and `images_evaluation.zip` lie in
    `datapath`, or what was unpacked of them.

    Args:
        datapath: Folder with the archives or with what they hold.
        validation_fraction: Float, share of the training images that validates.
        seed: Integer, chooses the validation images.
        image_size: Integer, (height, width), or `None`: 105 x 105, as they are.
        known_share: Float in (0, 1), share of the alphabets that are known.
        test_drawers: Integer from 1 to 19.
        split_seed: Integer.

    Returns:
        A `Dataset` of black ink on white.
    """
    size = (SIDE, SIDE) if image_size is None else size_pair(image_size, "image_size")
    if not 0 < known_share < 1 or not 0 < test_drawers < 20:
        raise InputError(
            "Omniglot needs 0 < known_share < 1 and 0 < test_drawers < 20. Received: "
            f"{known_share}, {test_drawers}."
        )
    drawings = _read(datapath, size)
    names = sorted({alphabet for alphabet, _, _ in drawings})
    if len(names) < 4:
        raise InputError(
            f"'{datapath}' has {len(names)} alphabets, expected 4 or more: 2 known, "
            f"and 2 unknown ones. Add archives from {URL}."
        )
    draw = np.random.default_rng(split_seed)
    shuffled = [names[index] for index in draw.permutation(len(names))]
    num_known = min(max(round(known_share * len(names)), 2), len(names) - 2)
    num_shown = (len(names) - num_known) // 2
    known = sorted(shuffled[:num_known])
    shown = set(shuffled[num_known : num_known + num_shown])
    for_test = {f"{drawer + 1:02d}" for drawer in draw.permutation(20)[:test_drawers]}
    splits = {"train": [], "test": []}
    for (alphabet, _, drawer), image in sorted(drawings.items()):
        label = known.index(alphabet) if alphabet in known else len(known)
        if alphabet in known:
            is_test = drawer in for_test
        else:
            is_test = alphabet not in shown
        splits["test" if is_test else "train"].append((image, label))
    images, labels = map(np.array, zip(*splits["train"]))
    train, validation = choose_validation(len(labels), validation_fraction, seed)
    return Dataset(
        name="omniglot",
        train=Split(images[train], labels[train]),
        validation=Split(images[validation], labels[validation]),
        test=Split(*map(np.array, zip(*splits["test"]))),
        class_names=(*known, UNKNOWN),
        background=1.0,
    )


def _read(datapath, size):
    """Returns (alphabet, character, drawer) -> image, each drawing once."""
    if datapath is None or not datapath.is_dir():
        raise InputError(
            f"The datapath '{datapath}' is not a folder. Give one that holds "
            f"images_background.zip or parts of it, from {URL}."
        )
    drawings = {}
    archives = sorted(datapath.glob("images_*.zip"))
    for source in archives or [datapath]:
        with contextlib.ExitStack() as stack:
            for file in walk(source, stack).files:
                *_, alphabet, character, name = (None, None, *file.parts)
                if not (character or "").startswith("character"):
                    continue
                drawer = name.removesuffix(".png").rpartition("_")[2]
                key = alphabet, character, drawer
                if name.endswith(".png") and key not in drawings:
                    drawings[key] = decode_image(file.read(), file.name, size, 1)
    if not drawings:
        raise InputError(
            f"'{datapath}' holds no Omniglot: expected images_background.zip or parts "
            f"of it, from {URL}."
        )
    return drawings
