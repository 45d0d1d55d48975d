"""Which split and which class a file belongs to, by the folders it lies in."""

import numpy as np

from ram_tf.data.dataset import choose_validation
from ram_tf.data.recognition import ENDINGS as EXTENSIONS
from ram_tf.errors import InputError

SPLIT_NAMES = {
    "train": "train",
    "test": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}


def group(datapath, entries, folders):
    """Returns {split: [(entry, label)]} (one split "all" if undivided), class names."""
    images = [
        entry
        for entry in entries
        if len(entry.parts) > 1 and entry.parts[-1].lower().endswith(EXTENSIONS)
    ]
    depth = 0
    while len(images) and len({entry.parts[depth] for entry in images}) == 1:
        # A folder around the class folders, as archives have it.
        if any(len(entry.parts) <= depth + 2 for entry in images):
            break
        depth += 1
    top = {entry.parts[depth] for entry in images}
    divided = (
        "train" in {name.lower() for name in top}
        and {name.lower() for name in top} <= set(SPLIT_NAMES)
        and all(len(entry.parts) > depth + 2 for entry in images)
    )
    level = depth + 1 if divided else depth
    class_names = sorted({entry.parts[level] for entry in images})
    if len(class_names) < 2:
        raise InputError(
            f"'{datapath}' holds images of {len(class_names)} classes, expected 2 or "
            f"more folders with {', '.join(EXTENSIONS)} files, one for each class."
        )
    _check_no_empty(datapath, images, folders, level)
    labels = {name: label for label, name in enumerate(class_names)}
    groups = {}
    for entry in images:
        split = SPLIT_NAMES[entry.parts[depth].lower()] if divided else "all"
        groups.setdefault(split, []).append((entry, labels[entry.parts[level]]))
    trained = {label for _, label in groups.get("train", groups.get("all"))}
    untrained = [name for name in class_names if labels[name] not in trained]
    if untrained:
        raise InputError(
            f"'{datapath}' has no training images of {', '.join(untrained)}. "
            "Every class needs a folder in train/."
        )
    return groups, tuple(class_names)


def _check_no_empty(datapath, images, folders, level):
    """Raises an `InputError` if a class folder holds no image."""
    prefixes = {entry.parts[:level] for entry in images}
    filled = {entry.parts[: level + 1] for entry in images}
    for parts in sorted(folders):
        if len(parts) == level + 1 and parts[:-1] in prefixes and parts not in filled:
            raise InputError(
                f"The class folder '{'/'.join(parts)}' in '{datapath}' holds no "
                "image. Fill or remove it."
            )


def split(groups, hold_out, split_seed, validation_fraction, seed):
    """Makes train, validation and test of what the folder gives, in random order."""
    rng = np.random.default_rng(split_seed)
    train = groups.get("train", groups.get("all"))
    test = groups.get("test")
    train = [train[i] for i in rng.permutation(len(train))]
    if test is None:
        train, test = hold_out(train)
    else:
        test = [test[i] for i in rng.permutation(len(test))]
    if "validation" in groups:
        validation = groups["validation"]
        order = np.random.default_rng(seed % 2**64).permutation(len(validation))
        validation = [validation[i] for i in order]
    else:
        chosen = choose_validation(len(train), validation_fraction, seed)
        train, validation = ([train[i] for i in indices] for indices in chosen)
    return {"train": train, "validation": validation, "test": test}


def hold_out(examples, fraction):
    """Takes the first share of each class; at least one, but not the only one."""
    left = {}
    for _, label in examples:
        left[label] = left.get(label, 0) + 1
    left = {
        label: min(max(round(count * fraction), 1), count - 1)
        for label, count in left.items()
    }
    train, test = [], []
    for entry, label in examples:
        (test if left[label] > 0 else train).append((entry, label))
        left[label] -= 1
    if not test:
        raise InputError(
            "Every class has a single image, so none can be held out for testing. "
            "Add images."
        )
    return train, test


def hold_out_fold(examples, fold, num_folds):
    """Takes every example of each class whose turn it is."""
    seen, train, test = {}, [], []
    for entry, label in examples:
        turn = seen[label] = seen.get(label, -1) + 1
        (test if turn % num_folds == fold else train).append((entry, label))
    if min(seen.values()) + 1 < num_folds:
        raise InputError(
            f"A class has {min(seen.values()) + 1} images, which cannot be divided "
            f"into {num_folds} parts. Lower `data.num_folds`, or add images."
        )
    return train, test
