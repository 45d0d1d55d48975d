"""Which split and which class a picture belongs to: by its folders, or by its path."""

import dataclasses
import hashlib
import re
import unicodedata
from typing import Any, NamedTuple

from ram_tf.errors import InputError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
# Said in the fingerprint of data: by another rule, other pictures are for testing.
RULE = "splits by path"
_SHOWN = 10
_WORDS = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation"), VALIDATION),
    **dict.fromkeys(("test", "testing", "tst"), TEST),
}
# What people add to the name of a split, and what says nothing about its pictures.
_FILLERS = {
    *("data", "dataset", "datasets", "dir", "file", "files", "folder", "full"),
    *("image", "images", "img", "imgs", "labeled", "labelled", "photo", "photos"),
    *("pic", "pics", "picture", "pictures", "sample", "samples", "set", "split"),
    *("splits", "subset"),
}
_GLUED = re.compile(
    rf"({'|'.join(sorted(_WORDS, key=len, reverse=True))})"
    rf"({'|'.join(sorted(_FILLERS, key=len, reverse=True))})"
)


def same_name(name):
    """Returns a folder's name in one spelling, where systems differ in accents."""
    return unicodedata.normalize("NFC", name)


def split_of(name):
    """Returns the split that a word names, as "val" or "Testing", or `None`."""
    return _WORDS.get(name.lower())


class Placed(NamedTuple):
    """A picture with its place in the data set.

    Attributes:
        file: What was given, with its `parts`.
        class_name: String.
        path: String, its path inside the data set: the class, then what is below.
    """

    file: Any
    class_name: str
    path: str


class Shares(NamedTuple):
    """How pictures are shared out where their folder does not say.

    Attributes:
        test_fraction: Float in (0, 1).
        validation_fraction: Float in (0, 1), of what is not for testing.
        split_seed: Integer, of the test split or the parts.
        seed: Integer, of the validation split.
        num_folds: Integer or `None`: parts, one of which is the test split.
        fold: Integer, which one.
    """

    test_fraction: float
    validation_fraction: float
    split_seed: int = 0
    seed: int = 0
    num_folds: int | None = None
    fold: int = 0


@dataclasses.dataclass(frozen=True)
class Layout:
    """What a folder says of its pictures.

    Attributes:
        groups: Dictionary split -> list of `Placed`, by their paths; of a folder that
            is not divided, `{"all": ...}`.
        folders: Dictionary split -> the name of its folder; empty if not divided.
        class_names: Tuple of strings, sorted.
        loose: List of the files that lie beside the class folders.
    """

    groups: dict
    folders: dict
    class_names: tuple
    loose: list

    @property
    def divided(self):
        return bool(self.folders)

    def everything(self):
        """Returns all that is placed, of every split."""
        return [placed for group in self.groups.values() for placed in group]


def arrange(datapath, pictures, folders=(), known=None):
    """Finds the splits and the classes of pictures by the folders that they lie in.

    Args:
        datapath: Where they are, for messages.
        pictures: Objects with `parts`, tuples of strings: folders, then the file.
        folders: Parts of all folders, the empty ones too.
        known: Class names of a trained model, whose pictures these shall be, or
            `None`: training. Then every class needs pictures to train on.

    Returns:
        A `Layout`.

    Raises:
        InputError: If there are too few classes, or what looks like splits is none.
    """
    known = None if known is None else {same_name(name) for name in known}
    depth, loose = 0, []
    while True:
        here, below = _level(pictures, depth)
        loose += here
        if len(below) != 1 or not _is_around(*next(iter(below.items())), depth, known):
            break
        (pictures,) = below.values()
        depth += 1
    splits = {} if known and set(below) <= known else _split_names(below)
    folders = {_same_parts(parts) for parts in folders}
    if below and len(splits) == len(below):
        if known is None:
            _check_no_empty_split(datapath, below, depth, folders)
        by_split = _divided(datapath, below, splits, depth + 1, known)
        named = {splits[name]: name for name in below}
    else:
        _check_no_splits(datapath, below, splits, depth)
        by_split, named = {"all": (below, depth)}, {}
    groups = {}
    for split, (classes, level) in by_split.items():
        loose += classes.pop(None, [])
        groups[split] = sorted(
            (
                Placed(file, name, "/".join(_same_parts(file.parts[level:])))
                for name, files in classes.items()
                for file in files
            ),
            key=lambda placed: placed.path,
        )
    class_names = tuple(sorted({p.class_name for g in groups.values() for p in g}))
    layout = Layout(groups, named, class_names, loose)
    if known is None:
        _check_training(datapath, layout, folders)
    elif not class_names:
        raise _too_few(datapath, layout)
    return layout


def _same_parts(parts):
    return tuple(map(same_name, parts))


def _level(pictures, depth):
    """The pictures that lie at a depth, and {folder: pictures in it, however deep}."""
    here, below = [], {}
    for file in pictures:
        if len(file.parts) == depth + 1:
            here.append(file)
        else:
            below.setdefault(same_name(file.parts[depth]), []).append(file)
    return here, below


def _is_around(name, pictures, depth, known):
    """Whether a single folder only surrounds the class folders, as archives have it."""
    if (known and name in known) or name.lower() in _WORDS:
        return False
    return any(len(file.parts) > depth + 2 for file in pictures)


def _split_names(names):
    """Returns {name: split} of the names that look like those of splits."""
    words = {name: _words(name) for name in names}
    rests = {}
    for name, found in words.items():
        splits = {_WORDS[word] for word in found if word in _WORDS}
        if splits == {TRAIN, VALIDATION}:  # Both are to be trained on.
            splits = {TRAIN}
        if len(splits) == 1:
            rest = {word for word in found if word not in _WORDS.keys() | _FILLERS}
            rests[name] = splits.pop(), rest
    shared = {}
    for split, rest in rests.values():
        shared.setdefault(frozenset(rest), set()).add(split)
    # What several splits are called besides is the name of the data set.
    return {
        name: split
        for name, (split, rest) in rests.items()
        if not rest or len(shared[frozenset(rest)]) > 1
    }


def _words(name):
    """The words of a folder's name in lower case, without numbers."""
    name = re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()
    words = []
    for word in re.findall(r"[^\W\d_]+", name):
        glued = _GLUED.fullmatch(word)
        words += glued.groups() if glued else [word]
    return words


def _check_no_empty_split(datapath, below, depth, folders):
    """Refuses a folder that is named like a split, beside those that are full."""
    around = next(iter(below.values()))[0].parts[:depth]
    for parts in sorted(folders):
        inside = len(parts) == depth + 1 and parts[:-1] == _same_parts(around)
        if inside and parts[-1] not in below and _split_names([parts[-1]]):
            raise InputError(
                f"'{parts[-1]}' in '{datapath}' looks like a split, and holds no "
                "image. Fill or remove it."
            )


def _divided(datapath, below, splits, depth, known):
    """Returns {split: ({class: pictures}, depth of the classes)}."""
    for split in SPLITS:
        same = sorted(name for name in below if splits[name] == split)
        if len(same) > 1:
            raise InputError(
                f"'{datapath}' holds {_list(same)}, which look like one split, "
                f"{split}: put their class folders into one folder."
            )
    levels = {name: _level(files, depth) for name, files in below.items()}
    flat = [name for name, (_, classes) in levels.items() if not classes]
    if flat:
        seen = ", ".join(
            f"{name}/ with {len(classes)} class folders"
            + (f" and {len(here)} pictures beside them" if here else "")
            for name, (here, classes) in sorted(levels.items())
        )
        raise InputError(
            f"'{datapath}' looks divided into splits, but the pictures in "
            f"{_list(flat)} have no class folders: found {seen}. Sort them into class "
            "folders, or move them out: predict classifies pictures without labels."
        )
    found = {}
    alike = len({tuple(classes) for _, classes in levels.values()}) == 1
    for name, (here, classes) in levels.items():
        level, loose = depth, list(here)
        while (
            len(classes) == 1
            and not (known and set(classes) <= known)
            and _is_inner(*classes.items(), alike, level)
        ):
            (files,) = classes.values()
            level += 1
            here, classes = _level(files, level)
            loose += here
        found[splits[name]] = {**classes, None: loose}, level
    return {split: found[split] for split in SPLITS if split in found}


def _is_inner(only, alike, depth):
    """Whether the only folder in a split is one around its class folders."""
    name, files = only
    words = set(_words(name))
    says_nothing = alike or bool(_split_names([name])) or words <= _FILLERS
    return says_nothing and any(len(file.parts) > depth + 2 for file in files)


def _check_no_splits(datapath, below, splits, depth):
    """Refuses what looks like splits, but cannot be told to be."""
    kinds = set(splits.values())
    others = sorted(set(below) - set(splits))
    inside = {name: set(_level(files, depth + 1)[1]) for name, files in below.items()}
    of_splits = set().union(*(inside[name] for name in splits))
    of_others = set(others).union(*(inside[name] for name in others))
    if len(kinds) > 1 or of_splits & of_others:
        raise InputError(
            f"'{datapath}' cannot be told to be divided or not: {_list(splits)} "
            f"{'look' if len(splits) > 1 else 'looks'} like a split, "
            f"{_list(others)} {'do' if len(others) > 1 else 'does'} not. Move away, or "
            "rename, what is no split (train, val, test) or what is no class."
        )
    for name in sorted(below):
        inner = _split_names(inside[name])
        if len(set(inner.values())) > 1:
            raise InputError(
                f"'{datapath}' has splits inside of classes: {_list(inner)} in "
                f"'{name}'. Put them around the classes: "
                f"{next(iter(inner))}/{name}."
            )


def _check_training(datapath, layout, folders):
    """Refuses a folder that cannot be trained on."""
    if layout.divided and TRAIN not in layout.folders:
        raise InputError(
            f"'{datapath}' holds {_list(layout.folders.values())} alone, nothing to "
            "train on. Add a folder train, or measure a trained model on it: evaluate "
            "--datapath."
        )
    if len(layout.class_names) < 2:
        raise _too_few(datapath, layout)
    trained = layout.groups.get(TRAIN, layout.groups.get("all"))
    _check_no_empty(datapath, trained, folders)
    names = {placed.class_name for placed in trained}
    untrained = [name for name in layout.class_names if name not in names]
    if untrained:
        raise InputError(
            f"'{datapath}' has no training images of {_first(untrained)}. Every "
            f"class needs a folder in {layout.folders.get(TRAIN)}/."
        )


def _too_few(datapath, layout):
    loose = f", and {len(layout.loose)} beside class folders" if layout.loose else ""
    return InputError(
        f"'{datapath}' holds images of {len(layout.class_names)} classes"
        f"{_in_brackets(layout.class_names)}{loose}; expected 2 or more folders with "
        "images, one for each class."
    )


def _check_no_empty(datapath, trained, folders):
    """Raises an `InputError` if a class folder holds no image."""
    file, _, path = trained[0]
    level = len(file.parts) - path.count("/") - 1
    around = _same_parts(file.parts[:level])
    filled = {placed.class_name for placed in trained}
    for parts in sorted(folders):
        inside = len(parts) == level + 1 and parts[:-1] == around
        if inside and parts[-1] not in filled:
            raise InputError(
                f"The class folder '{'/'.join(parts)}' in '{datapath}' holds no "
                "image. Fill or remove it."
            )


def _list(names):
    names = sorted(names)
    shown = " and ".join(f"'{name}'" for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _first(names):
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _in_brackets(names):
    return f" ({_first(names)})" if names else ""


def describe(layout, splits):
    """Says in a line what was found: classes, and how many pictures each split has.

    Args:
        layout: A `Layout`.
        splits: Dictionary split -> list of `Placed`.
    """
    count = len(layout.class_names)
    sizes = ", ".join(
        f"{split} {len(placed):,}"
        + (f" ({layout.folders[split]}/)" if split in layout.folders else "")
        for split, placed in splits.items()
    )
    word = "class" if count == 1 else "classes"
    return f"{count} {word}{_in_brackets(layout.class_names)}; pictures: {sizes}"


def divide(layout, shares):
    """Makes train, validation and test of what a folder holds.

    Where the folder does not say, a hash of its path decides about each picture, so
    that another picture that comes or goes moves none. A class that would be left
    without a training picture keeps the one of the smallest hash.

    Args:
        layout: A `Layout` to train on.
        shares: `Shares`.

    Returns:
        Dictionary split -> list of `Placed`, in an order by hash.
    """
    given = layout.groups
    train = given.get(TRAIN, given.get("all"))
    of_test = {
        placed.path: draw(placed.path, shares.split_seed, TEST)
        for placed in layout.everything()
    }
    of_validation = {
        placed.path: draw(placed.path, shares.seed, VALIDATION) for placed in train
    }

    def is_tested(path):
        if shares.num_folds is None:
            return of_test[path] < shares.test_fraction
        return int(of_test[path] * shares.num_folds) == shares.fold

    chosen = {}
    for path in of_validation:
        if TEST not in given and is_tested(path):
            chosen[path] = TEST
        elif VALIDATION not in given and of_validation[path] < (
            shares.validation_fraction
        ):
            chosen[path] = VALIDATION
        else:
            chosen[path] = TRAIN
    _keep_training(train, chosen, of_test)
    if TEST not in given and shares.num_folds is not None:
        _check_fold(train, chosen, shares)
    for split, hashes in ((TEST, of_test), (VALIDATION, of_validation)):
        if split not in given:
            _keep_one(train, chosen, split, hashes)
    splits = {}
    for split in SPLITS:
        drawn = [placed for placed in train if chosen[placed.path] == split]
        found = drawn + (given.get(split, []) if split != TRAIN else [])
        splits[split] = sorted(found, key=lambda each: (of_test[each.path], each.path))
    return splits


def draw(path, seed, purpose):
    """Returns a number in [0, 1) that a picture's path and a seed decide.

    Args:
        path: String, the picture's path inside the data set.
        seed: Integer.
        purpose: String: for another one, another number.
    """
    text = f"{purpose}\0{seed}\0{path}".encode("utf-8", "surrogateescape")
    digest = hashlib.blake2b(text, digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


def _keep_training(train, chosen, hashes):
    """Gives each class without a training picture that of its smallest hash."""
    for group in _by_class(train).values():
        if all(chosen[path] != TRAIN for path in group):
            chosen[min(group, key=lambda path: (hashes[path], path))] = TRAIN


def _keep_one(train, chosen, split, hashes):
    """Gives a split that nothing fell into the one picture of the smallest hash."""
    if split in chosen.values():
        return
    spare = []
    for group in _by_class(train).values():
        left = [path for path in group if chosen[path] == TRAIN]
        spare += left if len(left) > 1 else []
    if not spare:  # Of few pictures, one that is drawn for the other split.
        other = [path for path in chosen if chosen[path] != TRAIN]
        spare = other if len(other) > 1 else []
    if not spare:
        raise InputError(
            f"Every class has a single image to train on, so none is left for {split}. "
            "Add images."
        )
    chosen[min(spare, key=lambda path: (hashes[path], path))] = split


def _check_fold(train, chosen, shares):
    by_class = _by_class(train)
    name = min(by_class, key=lambda name: len(by_class[name]))
    count = len(by_class[name])
    if count < shares.num_folds or TEST not in chosen.values():
        raise InputError(
            f"The images, {count} of class '{name}', cannot be divided into "
            f"{shares.num_folds} parts: part {shares.fold} has too few. Lower "
            "`data.num_folds`, or add images."
        )


def _by_class(train):
    groups = {}
    for placed in train:
        groups.setdefault(placed.class_name, []).append(placed.path)
    return groups


def describe_lacking(class_names, splits):
    """Returns a line that names the classes without validation or test, if any."""
    parts = []
    for split in (VALIDATION, TEST):
        found = {placed.class_name for placed in splits[split]}
        lacking = [name for name in class_names if name not in found]
        if lacking:
            parts.append(f"{len(lacking)} without {split}{_in_brackets(lacking)}")
    return f"classes: {'; '.join(parts)}" if parts else None
