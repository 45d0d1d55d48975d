"""Any folder of class folders, or an archive of one, as a data set."""

import contextlib
import functools
import io
import itertools
import os
import pathlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ram_tf.data.archive import list_files
from ram_tf.data.dataset import (
    Dataset,
    Split,
    choose_validation,
    make_fingerprint,
)
from ram_tf.data.photographs import Photographs
from ram_tf.data.transforms import HorizontalFlip, size_pair
from ram_tf.errors import InputError

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
SPLIT_NAMES = {
    "train": "train",
    "test": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
# Compressed bytes of so many images are in memory at a time.
CHUNK = 256


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
        max_gigabytes: Number, the most that the decoded images may take.

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
        groups, class_names = _group(datapath, entries, folders)
        if num_folds is not None and "test" in groups:
            raise InputError(
                f"'{datapath}' has a test/ of its own, which folds would leave out: "
                "give a folder of class folders, or leave `data.num_folds` out."
            )
        hold_out = functools.partial(_hold_out, fraction=test_fraction)
        if num_folds is not None:
            hold_out = functools.partial(_hold_out_fold, fold=fold, num_folds=num_folds)
        groups = _split(groups, hold_out, split_seed, validation_fraction, seed)
        any_size = square is not None
        images = _decode_all(groups, image_size, any_size, channels, max_gigabytes)
        entries = [entry for examples in groups.values() for entry, _ in examples]
        fingerprint = _fingerprint(entries)
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


def _group(datapath, entries, folders):
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


def _fingerprint(entries):
    """Of the images' names below what is around all of them, and of their sizes."""
    around = len(os.path.commonprefix([entry.parts[:-1] for entry in entries]))
    listed = [
        os.fsencode(f"{'/'.join(entry.parts[around:])} {entry.size()}")
        for entry in entries
    ]
    return make_fingerprint(len(entries), sorted(listed))


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


def _split(groups, hold_out, split_seed, validation_fraction, seed):
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


def _hold_out(examples, fraction):
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


def _hold_out_fold(examples, fold, num_folds):
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


def _decode_all(groups, image_size, any_size, channels, max_gigabytes):
    """Returns {split: images}, decoded by threads in the order of the archive.

    The images of a split are one array, or a list of them where any size will do.
    """
    targets = [
        (entry, split, index)
        for split, examples in groups.items()
        for index, (entry, _) in enumerate(examples)
    ]
    targets.sort(key=lambda target: target[0].position)
    first = targets[0][0]
    size = (
        image_size or decode_image(first.read(), first.name, None, channels).shape[:2]
    )

    def check_memory(gigabytes, what):
        if gigabytes > max_gigabytes:
            raise InputError(
                f"{what} take {gigabytes:.3g} GB, more than max_gigabytes="
                f"{max_gigabytes}. Use a lower `data.image_size`, or "
                "`data.channels=1`, or raise the limit."
            )

    if any_size:
        arrays = {split: [None] * len(examples) for split, examples in groups.items()}
    else:
        check_memory(
            len(targets) * size[0] * size[1] * channels / 1e9,
            f"{len(targets)} images of {size[0]} x {size[1]} x {channels}",
        )
        arrays = {
            split: np.empty((len(examples), *size, channels), np.uint8)
            for split, examples in groups.items()
        }
    decoded = []

    def decode(target, content):
        entry, split, index = target
        image = decode_image(content, entry.name, image_size, channels)
        if not any_size and image.shape[:2] != size:
            raise InputError(
                f"The images differ in size: '{first.name}' has {size[0]} x {size[1]} "
                f"pixels, '{entry.name}' {image.shape[0]} x {image.shape[1]}. "
                "Set `data.image_size` to resize them, or `data.square` to keep them."
            )
        arrays[split][index] = image
        decoded.append(image.nbytes)

    remaining = iter(targets)
    with ThreadPoolExecutor() as pool:
        while chunk := list(itertools.islice(remaining, CHUNK)):
            contents = [entry.read() for entry, _, _ in chunk]
            list(pool.map(decode, chunk, contents))
            check_memory(
                sum(decoded) / 1e9, f"The first {len(decoded)} of {len(targets)} images"
            )
    return arrays


def find_images(paths):
    """Returns the paths of image files among paths and in the folders among them."""
    if not paths:
        raise InputError("no image given: name image files or folders of them.")
    files = []
    for path in map(str, paths):
        if os.path.isdir(path):
            before = len(files)
            files.extend(_images_below(path))
            if len(files) == before:
                raise InputError(
                    f"no image in {path}: expected files ending in "
                    f"{', '.join(EXTENSIONS)}."
                )
        elif os.path.exists(path):
            files.append(path)
        else:
            raise InputError(f"no image file {path}.")
    return files


def _images_below(folder):
    """Yields the images of a folder and of those in it, by name."""
    with os.scandir(folder) as entries:
        entries = sorted(entries, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _images_below(entry.path)
        elif entry.name.lower().endswith(EXTENSIONS):
            yield entry.path


def decode_image(content, name, size, channels):
    """Decodes an image file as the `folder` source does.

    Args:
        content: Bytes of the file.
        name: String, for error messages.
        size: (height, width) to crop around the centre and resize to, or `None`.
        channels: 3 or 1.

    Returns:
        Array `(height, width, channels)`, uint8.
    """
    import PIL
    from PIL import Image, ImageOps

    limit = os.environ.get("RAM_TF_MAX_PIXELS")
    if limit:
        if not limit.isdecimal():
            raise InputError(f"RAM_TF_MAX_PIXELS is {limit!r}, expected a number.")
        Image.MAX_IMAGE_PIXELS = int(limit)
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            if image.format == "PNG":
                _mend_transparency(image, depth=content[24])
            image = _to_mode(ImageOps.exif_transpose(image), channels)
    except Image.DecompressionBombError as error:
        raise InputError(
            f"The image '{name}' has more pixels than Pillow decodes of a file that "
            f"may be a trap ({error}). Raise the limit: RAM_TF_MAX_PIXELS=N."
        ) from error
    except PIL.UnidentifiedImageError as error:
        raise InputError(
            f"The image '{name}' cannot be decoded: no known format. "
            "Repair or remove it."
        ) from error
    # Pillow's decoders raise nearly anything on broken files; the cause is kept.
    except Exception as error:
        raise InputError(
            f"The image '{name}' cannot be decoded ({type(error).__name__}: {error}). "
            "Repair or remove it."
        ) from error
    if size is not None:
        height, width = size
        scale = min(image.width / width, image.height / height)
        crop = max(round(scale * width), 1), max(round(scale * height), 1)
        left, top = (image.width - crop[0]) // 2, (image.height - crop[1]) // 2
        # Cropped first: `resize(box=...)` also reads around the box.
        image = image.crop((left, top, left + crop[0], top + crop[1]))
        image = image.resize((width, height), Image.BILINEAR)
    return np.asarray(image).reshape(image.height, image.width, channels)


def _mend_transparency(image, depth):
    """Makes the transparent level of a PNG one of the pixels that Pillow gives."""
    level = image.info.get("transparency")
    if image.mode == "L" and depth < 8 and isinstance(level, int):
        image.info["transparency"] = level * 255 // (2**depth - 1)
    elif image.mode == "RGB" and depth == 16 and level is not None:
        raise ValueError("a transparent colour of 16 bits; save it with 8 bits")


def _to_mode(image, channels):
    """Converts a Pillow image of any mode to 8-bit colour or grey."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits; Pillow would clip at 255
        values = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        # Laid on white, as below.
        values[values == image.info.get("transparency", -1)] = 65535
        image = Image.fromarray(np.rint(values / 257).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("float pixels; save it with 8 or 16 bits")
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    return image.convert("L" if channels == 1 else "RGB")
