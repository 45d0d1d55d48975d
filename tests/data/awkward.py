"""Folders and archives as people make them, each with what must come of it.

`AWKWARD` has what is read, `REFUSED` what is refused, by names that say what it is. A
picture's value, in its pixels, tells which one it is.
"""

import dataclasses
import io
import json
import os
import stat
import struct
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable

import numpy as np
from PIL import Image

SIZE = (6, 8)  # height, width
NUM_EACH = 4


def picture(value, kind="PNG"):
    """Returns the bytes of a picture of one grey."""
    file = io.BytesIO()
    Image.fromarray(np.full((*SIZE, 3), value, np.uint8)).save(file, kind)
    return file.getvalue()


@dataclasses.dataclass(frozen=True)
class Awkward:
    """Something to read, and what must come of it.

    Args:
        make: Function of an empty folder that returns the path to read.
        class_names: Tuple of strings.
        values: Dictionary split -> set of (value, class name); "all" for what may be
            in any of them.
        notes: Strings that the notes must hold.
    """

    make: Callable
    class_names: tuple
    values: dict
    notes: tuple = ()


def write(root, files):
    """Writes {path: bytes, or the value of a picture} below a folder."""
    for name, content in files.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(picture(content) if isinstance(content, int) else content)
    return root


def classes(prefix="", first=0, names=("cat", "dog"), form="{}.png"):
    """Returns {path: value} of some pictures of each class."""
    return {
        f"{prefix}{name}/{form.format(i)}": first + 20 * label + i
        for label, name in enumerate(names)
        for i in range(NUM_EACH)
    }


def values_of(files, depth=0):
    return {(value, name.split("/")[depth]) for name, value in files.items()}


def _two_splits(train, test, inner=""):
    """A folder with two splits, of these names."""
    ours, theirs = classes(f"{train}/{inner}"), classes(f"{test}/{inner}", 100)
    depth = f"{train}/{inner}".count("/")
    return Awkward(
        lambda root: write(root, ours | theirs),
        ("cat", "dog"),
        {"train": values_of(ours, depth), "test": values_of(theirs, depth)},
        (f"({train.split('/')[0]}/)", f"test 8 ({test.split('/')[0]}/)", "2 classes"),
    )


def _undivided(extra=None, notes=(), names=("cat", "dog"), prefix=""):
    """A folder of class folders, with something beside them."""
    files = classes(prefix, names=names)
    return Awkward(
        lambda root: write(root, files | (extra or {})),
        tuple(sorted(names)),
        {"all": values_of(files, prefix.count("/"))},
        notes,
    )


def _links(root):
    write(root, classes("elsewhere/", names=("dog",), first=20))
    write(root, classes("data/", names=("cat",)))
    os.symlink(root / "elsewhere" / "dog", root / "data" / "dog")
    os.symlink(root / "data", root / "data" / "cat" / "back")
    return root / "data"


def _with_runs(root):
    write(root, classes())
    write(
        root,
        {
            "runs/a/config.json": b"{}",
            "runs/a/checkpoints/best/state.json": b"{}",
            "runs/a/figures/1.png": 250,
            "runs/folds/fold_0/learned/config.json": b"{}",
            "runs/folds/fold_0/learned/checkpoints/last/state.json": b"{}",
            "runs/folds/cross_validation.json": b"{}",
            "runs/folds/curves.png": 251,
            "runs/new/first/config.json": json.dumps(
                {"family": "ram", "data": {}, "train": {}}
            ).encode(),
            "runs/locked/.lock": b"",
        },
    )
    return root


def _accents(root):
    composed = unicodedata.normalize("NFC", "café")
    apart = unicodedata.normalize("NFD", "café")
    write(root, classes("train/", names=(composed, "dog")))
    return write(root, classes("test/", 100, names=(apart, "dog")))


def _zip(files, **changes):
    """Returns a function that writes a zip archive of {name: value or bytes}."""

    def make(root):
        path = root / "archive.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files:
                info = zipfile.ZipInfo("placeholder")
                # As it is: the constructor would mend some names.
                info.filename = info.orig_filename = name
                for key, value in changes.items():
                    setattr(info, key, value)
                content = picture(content) if isinstance(content, int) else content
                archive.writestr(info, content)
        return path

    return make


def _renamed_zip(files, before, after):
    """Writes a zip archive, then other bytes of as many in place of some."""

    def make(root):
        path = _zip(files)(root)
        content = path.read_bytes()
        assert before in content and len(before) == len(after)
        path.write_bytes(content.replace(before, after))
        return path

    return make


def _zip_with_unicode_names(root):
    """A zip archive as WinZip makes it: two names for each member."""
    path = root / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in classes(names=("cÄt", "dog")).items():
            info = zipfile.ZipInfo(name.replace("Ä", "X"))
            content = bytes(5) + name.encode()
            info.extra = struct.pack("<HHHH", 1, 0, 0x7075, len(content)) + content
            archive.writestr(info, picture(value))
    # Bytes of a page that is neither UTF-8 nor said.
    path.write_bytes(path.read_bytes().replace(b"cXt", "cÄt".encode("cp1252")))
    return path


def _zip_with_links(root):
    """A zip archive with a class that is a link, and one of links to files."""
    path = root / "archive.zip"
    links = {
        "dog": ".all/dogs",
        **{f"cat/{i}.png": f"../.cats/{i}.png" for i in range(NUM_EACH)},
        "cat/up": "..",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in classes(names=(".cats", ".all/dogs")).items():
            archive.writestr(name, picture(value))
        for name, target in links.items():
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
    return path


def _with_a_password(root):
    path = _zip(classes().items())(root)
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1
    path.write_bytes(content)
    return path


def _tar(files, links=(), hard=()):
    """Returns a function that writes a tar archive of {name: value}, and links."""

    def make(root):
        path = root / "archive.tar"
        with tarfile.open(path, "w") as archive:
            for name, value in files:
                info = tarfile.TarInfo(name)
                content = picture(value)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            for kind, pairs in ((tarfile.SYMTYPE, links), (tarfile.LNKTYPE, hard)):
                for name, target in pairs:
                    info = tarfile.TarInfo(name)
                    info.type, info.linkname = kind, target
                    archive.addfile(info)
        return path

    return make


def _archived(make, notes=(), names=("cat", "dog"), values=None):
    values = values_of(classes(names=names)) if values is None else values
    return Awkward(make, names, {"all": values}, notes)


_PLAIN = list(classes().items())
_TWICE = [("cat/0.png", 99), *_PLAIN]
_MIXED = {
    **{f"cat/{i}.jfif": picture(10 * i, "JPEG") for i in range(3)},
    "cat/none": 5,
    "dog/a.dat": 20,
    **{f"dog/{i}.png": 20 + i for i in range(1, 4)},
    **{f"cat/{i}.txt": b"P5 is no picture" for i in range(6)},
    "cat/a.heic": b"\0\0\0\x18ftypheic",
    "dog/b.HEIC": b"unlike",
    "dog/c.zip": b"PK",
    "cat/._0.png": b"of a Macintosh",
    "__MACOSX/cat/0.png": b"of a Macintosh",
    ".thumbnails/cat/0.png": 250,
}

AWKWARD = {
    "capital names of splits": _two_splits("Training", "Testing"),
    "splits with suffixes": _two_splits("train_images", "test_images"),
    "splits in one word": _two_splits("TrainSet", "testset"),
    "splits after the data set's name": _two_splits("birds-train", "birds-test"),
    "splits with numbers": _two_splits("1_train", "2_test"),
    "splits of a year": _two_splits("train2017", "test2017"),
    "splits in folders of their names": _two_splits(
        "seg_train", "seg_test", inner="seg_train/"
    ),
    "splits around a folder of images": _two_splits("train", "test", inner="images/"),
    "splits with a picture beside": dataclasses.replace(
        _two_splits("train", "test"),
        make=lambda root: write(
            root,
            classes("train/")
            | classes("test/", 100)
            | {"sample.png": 250, "train/more.png": 251},
        ),
        notes=(
            "left out: 2 pictures beside the class folders "
            "(sample.png, train/more.png)",
        ),
    ),
    "spellings of an accent": Awkward(
        _accents,
        (unicodedata.normalize("NFC", "café"), "dog"),
        {
            "train": values_of(classes(names=("café", "dog"))),
            "test": values_of(classes(first=100, names=("café", "dog"))),
        },
    ),
    "a class called train": _undivided(names=("bus", "train")),
    "classes of trains": _undivided(names=("express_train", "steam_train")),
    "a picture beside the class folders": _undivided(
        {"sample.png": 250},
        ("left out: 1 picture beside the class folders (sample.png)",),
    ),
    "a folder around, with a picture beside": _undivided(
        {"cover.png": 250, "LICENSE": b"free"},
        (
            "1 picture beside the class folders (cover.png)",
            "1 without an ending (LICENSE)",
        ),
        prefix="flowers/all/",
    ),
    "a text in disguise of a picture's first letters": _undivided(
        {"cat/a.h": b"#define cat", "dog/b.c": b"BMW", "dog/c.d": b"P6 or P5"},
        ("left out: 1 .c, 1 .d, 1 .h",),
    ),
    "files of any name": Awkward(
        lambda root: write(root, _MIXED),
        ("cat", "dog"),
        {
            "all": {(value, "cat") for value in (0, 5, 10, 20)}
            | {(20 + i, "dog") for i in range(4)}
        },
        ("left out: 6 .txt, 2 .heic (needs pillow-heif), 1 .zip (an archive: unpack",),
    ),
    "links to folders and back": _archived(_links),
    "runs beside the classes": _archived(
        _with_runs,
        ("4 folders of runs (runs/a, runs/folds, runs/locked, ...)",),
    ),
    "zip": _archived(_zip(_PLAIN)),
    "zip with backslashes": _archived(
        _zip([(name.replace("/", "\\"), value) for name, value in _PLAIN])
    ),
    "zip with folders with backslashes": _archived(
        _zip(
            [
                ("flowers\\", b""),
                ("flowers\\cat\\", b""),
                *(("flowers\\" + n.replace("/", "\\"), v) for n, v in _PLAIN),
            ]
        )
    ),
    "zip of UTF-8 that does not say so": _archived(
        _renamed_zip(
            list(classes(names=("caXX", "dog")).items()), b"caXX", "caé".encode()
        ),
        names=("caé", "dog"),
    ),
    "zip with names in UTF-8 beside others": _archived(
        _zip_with_unicode_names, names=("cÄt", "dog")
    ),
    "zip of another encoding": _archived(
        _renamed_zip(
            list(classes(names=("caX", "dog")).items()), b"caX", "caé".encode("cp437")
        ),
        ("archive.zip does not say the encoding of 4 names",),
        names=("caé", "dog"),
    ),
    "zip with a member twice": _archived(
        _zip(_TWICE), ("archive.zip holds several members of one name, 1 too many",)
    ),
    "zip with links": _archived(_zip_with_links),
    "tar with a member twice": _archived(
        _tar(_TWICE), ("archive.tar holds several members of one name, 1 too many",)
    ),
    "tar with backslashes": _archived(
        _tar([(name.replace("/", "\\"), value) for name, value in _PLAIN])
    ),
    "tar with absolute names": _archived(
        _tar([(f"/home/me/{name}", value) for name, value in _PLAIN])
    ),
    "tar with links to files": _archived(
        _tar(
            [(name.replace("dog/", ".kept/"), v) for name, v in _PLAIN],
            links=[(f"dog/{i}.png", f"../.kept/{i}.png") for i in range(NUM_EACH)],
        )
    ),
    "tar with hard links": _archived(
        _tar(
            [(name.replace("dog/", ".kept/"), v) for name, v in _PLAIN],
            hard=[(f"dog/{i}.png", f".kept/{i}.png") for i in range(NUM_EACH)],
        )
    ),
    "tar with links to folders": _archived(
        _tar(
            [(name.replace("dog/", ".kept/dogs/"), v) for name, v in _PLAIN],
            links=[("dog", ".kept/there"), (".kept/there", "dogs"), ("cat/up", "..")],
        )
    ),
}

REFUSED = {
    "a flat test": (
        lambda root: write(
            root, classes("train/") | {"test/1.png": 1, "test/2.png": 2}
        ),
        r"pictures in 'test' have no class folders: found test/ with 0 class folders "
        r"and 2 pictures beside them, train/ with 2 class folders",
    ),
    "flat splits": (
        lambda root: write(root, {"train/1.png": 1, "test/2.png": 2}),
        "pictures in 'test' and 'train' have no class folders",
    ),
    "splits beside class folders": (
        lambda root: write(root, classes() | classes("test/")),
        "cannot be told.*'test' looks like a split, 'cat' and 'dog' do not",
    ),
    "splits beside another folder": (
        lambda root: write(
            root, classes("train/") | classes("test/") | {"pred/1.png": 3}
        ),
        "cannot be told.*'test' and 'train' look like a split, 'pred' does not",
    ),
    "a split and one of an unknown name": (
        lambda root: write(root, classes("train/") | classes("held_back/")),
        "cannot be told.*'train' looks like a split, 'held_back' does not",
    ),
    "a split twice": (
        lambda root: write(
            root, classes("train_a/") | classes("Train/") | classes("training/")
        ),
        "look",
    ),
    "splits inside of classes": (
        lambda root: write(
            root,
            classes(names=("cat/train", "cat/test", "dog/train", "dog/test")),
        ),
        "splits inside of classes: 'test' and 'train' in 'cat'",
    ),
    "an empty split": (
        lambda root: write(
            root, classes("train/") | classes("test/") | {"val/notes.txt": b""}
        ),
        "'val' in .* looks like a split, and holds no image",
    ),
    "a test alone": (
        lambda root: write(root, classes("Test/")),
        "holds 'Test' alone, nothing to train on",
    ),
    "a zip of zips": (
        _zip([("cat.zip", b"PK"), ("dog.zip", b"PK")]),
        r"0 classes.*left out: 2 .zip \(an archive: unpack it\)",
    ),
    "a class of no known pictures": (
        lambda root: write(root, classes() | {"wasp/a.heic": b"ftypheic"}),
        r"wasp' in .* holds no image.*1 .heic \(needs pillow-heif\)",
    ),
    "a zip with a password": (_with_a_password, "'cat/0.png' in .* has a password"),
    "a tar with a link out of it": (
        _tar(_PLAIN, links=[("cat/out.png", "../../out.png")]),
        "'cat/out.png' cannot be read",
    ),
    "a tar with links to each other": (
        _tar(_PLAIN, links=[("cat/a.png", "b.png"), ("cat/b.png", "a.png")]),
        "'cat/[ab].png' cannot be read",
    ),
    "a link that leads nowhere": (
        lambda root: (
            os.symlink("gone", write(root, classes()) / "cat" / "a.png") or root
        ),
        "'cat/a.png' cannot be read",
    ),
}
