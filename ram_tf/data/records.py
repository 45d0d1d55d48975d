"""The images and labels of a prepared TensorFlow Datasets folder, read into memory."""

import contextlib
import functools
import itertools
import os
import pathlib
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ram_tf.data.cache import digest, state_of
from ram_tf.data.decode import decode_image
from ram_tf.errors import InputError
from ram_tf.files import cache_folder


class Keys(NamedTuple):
    """The names of what is read of an example."""

    image: str
    label: str


class Form(NamedTuple):
    """What images are brought to; `None` leaves them as the data set has them.

    Args:
        size: (height, width) that images are cropped to the ratio of, and resized to.
        channels: 3 for colour or 1 for grey.
        max_gigabytes: Number, the most that the decoded images of a split may take.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    max_gigabytes: float | None = None


AS_THEY_ARE = Form()


def find_keys(builder):
    """Returns the `Keys` of the image and of the class of an example.

    They are those that the data set itself is supervised by, or the only ones there.

    Raises:
        InputError: If there are none, or several and nothing says which.
    """
    import tensorflow_datasets as tfds

    features = sorted(builder.info.features.items())
    images = [
        name
        for name, feature in features
        if isinstance(feature, tfds.features.Image)
        and not isinstance(feature, tfds.features.LabeledImage)
    ]
    labels = [
        name
        for name, feature in features
        if isinstance(feature, tfds.features.ClassLabel)
    ]
    supervised = builder.info.supervised_keys or ()
    found = [*itertools.product(images, labels)]
    if supervised in found:
        found = [supervised]
    if len(found) != 1:
        named = ", ".join(f"{k} ({type(f).__name__})" for k, f in features)
        raise InputError(
            f"{builder.name} is no data set of images with one label each: its "
            f"features are {named}; expected one Image and one ClassLabel."
        )
    keys = Keys(*found[0])
    dtype = np.dtype(builder.info.features[keys.image].np_dtype)
    if dtype != np.uint8:
        raise InputError(f"{builder.name} has pixels of {dtype}, expected uint8.")
    return keys


def check_splits(builder, splits):
    """Raises an `InputError` if a split is not there, or two of them share examples.

    Args:
        builder: Builder of a prepared data set.
        splits: Names, of several as one ("train+extra"), of parts ("train[:80%]").
    """
    known = builder.info.splits
    for part in itertools.chain(*(split.split("+") for split in splits)):
        if part.partition("[")[0] not in known:
            raise InputError(
                f"{builder.name} has no split {part!r}: expected one of "
                f"{', '.join(known)}, or a part of one, as 'train[:80%]'."
            )
        try:
            known[part]
        except (AssertionError, KeyError, ValueError) as error:
            raise InputError(
                f"cannot read the split {part!r} of {builder.name}: expected a part "
                "as in 'train[:80%]' or 'train[100:200]'."
            ) from error
    for first, second in itertools.combinations(splits, 2):
        for one, other in itertools.product(
            _instructions(builder, first), _instructions(builder, second)
        ):
            begin, end = max(one.skip, other.skip), min(_end(one), _end(other))
            if one.filename == other.filename and begin < end:
                raise InputError(
                    f"the splits {first!r} and {second!r} of {builder.name} share "
                    "images: training, validation and test need their own, as "
                    "'train[:80%]' and 'train[80%:]'."
                )


def read_split(builder, split, keys, form=AS_THEY_ARE):
    """Returns images and labels of one split, or of several, "train+extra".

    Decoding takes some seconds for every 100,000 images, so the arrays are kept for the
    next time, and read from there if nothing has changed since.

    Args:
        builder: Builder of a prepared data set.
        split: Name of the split.
        keys: `Keys` of an example.
        form: `Form` of the images.

    Returns:
        Images `(n, h, w, C)` uint8, or a list of arrays where their sizes differ, and
        labels `(n,)` int64.
    """
    shape = builder.info.features[keys.image].shape
    height, width, channels = shape
    if form.size is None and (form.channels or channels) == channels:
        if None in shape:
            return _read_photographs(builder, split, keys)
        size, read = "", functools.partial(_read_blocks, builder, split, keys)
        _check_memory(builder, split, shape, form.max_gigabytes)
    else:
        size = form.size or (height, width)
        channels = form.channels or channels
        if None in (*size, channels):
            what = "channels" if channels is None else "image_size"
            raise InputError(
                f"the images of {builder.name} differ in their {what}: set "
                f"`data.{what}`."
            )
        _check_memory(builder, split, (*size, channels), form.max_gigabytes)
        read = functools.partial(_read_sized, builder, split, keys, size, channels)
        size = f"-{size[0]}x{size[1]}x{channels}"
    state = digest(state_of(pathlib.Path(builder.data_dir)))
    name = f"{builder.name}-{split}{size}-{state}.npz"
    return _kept(cache_folder() / "decoded" / name, read)


def _kept(path, read):
    """Returns the two arrays in a file, or those that `read` returns, kept there."""
    # A file that is not there, or not whole, is no reason to stop.
    damaged = OSError, ValueError, KeyError, zipfile.BadZipFile
    with contextlib.suppress(*damaged), np.load(path) as arrays:
        return arrays["images"], arrays["labels"]
    images, labels = read()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as aside:
            np.savez(pathlib.Path(aside, path.name), images=images, labels=labels)
            pathlib.Path(aside, path.name).replace(path)
    return images, labels


def _read_blocks(builder, split, keys):
    """Reads images of one size as they are.

    Whole blocks of records are parsed at once, which is several times faster than
    `as_dataset`, one record at a time.
    """
    shape = builder.info.features[keys.image].shape
    decode, blocks = _decoder(builder, keys), _records(builder, split).batch(1000)

    def parse(records):
        examples = tf.io.parse_example(records, _fields(keys))
        images = tf.map_fn(
            decode,
            examples[keys.image],
            fn_output_signature=tf.TensorSpec(shape, tf.uint8),
        )
        return images, examples[keys.label]

    blocks = blocks.map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
    return _fill(builder, split, blocks.as_numpy_iterator(), shape)


def _read_sized(builder, split, keys, size, channels):
    """Reads images of any sizes, cropped and resized as files are in prediction."""

    def parse(record):
        example = tf.io.parse_single_example(record, _fields(keys))
        return example[keys.image], example[keys.label]

    records = _records(builder, split).map(parse).batch(256).prefetch(2)
    count = itertools.count()
    with ThreadPoolExecutor() as pool:

        def decode(content, number):
            name = f"number {number} of {split} in {builder.data_dir}"
            return decode_image(content, name, size, channels)

        blocks = (
            (list(pool.map(decode, contents, count)), labels)
            for contents, labels in records.as_numpy_iterator()
        )
        return _fill(builder, split, blocks, (*size, channels))


def _fill(builder, split, blocks, shape):
    """Collects blocks of images and labels into two arrays."""
    num_examples = _num_examples(builder, split)
    images = np.empty((num_examples, *shape), np.uint8)
    labels = np.empty(num_examples, np.int64)
    count = 0
    for some_images, some_labels in blocks:
        end = count + len(some_labels)
        if end <= len(labels):
            images[count:end], labels[count:end] = some_images, some_labels
        count = end
    _check_count(builder, split, count)
    return images, labels


def _read_photographs(builder, split, keys):
    """Reads a split whose images have different sizes, as they are."""
    decode_photograph = _decoder(builder, keys)

    def parse(record):
        example = tf.io.parse_single_example(record, _fields(keys))
        return decode_photograph(example[keys.image]), example[keys.label]

    records = _records(builder, split)
    records = records.map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(100)
    images, labels = [], []
    for image, label in records.as_numpy_iterator():
        images.append(image)
        labels.append(label)
    _check_count(builder, split, len(labels))
    return images, np.array(labels, np.int64)


def _fields(keys):
    return {
        keys.image: tf.io.FixedLenFeature((), tf.string),
        keys.label: tf.io.FixedLenFeature((), tf.int64),
    }


def _decoder(builder, keys):
    """Returns the function that decodes an image as all other readers do."""
    feature = builder.info.features[keys.image]
    decode = tf.io.decode_png  # or JPEG, GIF, BMP
    if feature.encoding_format == "jpeg":
        # The other method, faster once, differs from what all other readers give.
        decode = functools.partial(tf.io.decode_jpeg, dct_method="INTEGER_ACCURATE")
    return functools.partial(decode, channels=feature.shape[-1])


def _records(builder, split):
    """Returns the records of a split, of several ("train+extra"), or of a part."""
    if builder.info.file_format.value != "tfrecord":
        raise InputError(
            f"'{builder.data_dir}' holds {builder.info.file_format.value} files, "
            "expected tfrecord. Prepare it with file_format='tfrecord'."
        )
    instructions = _instructions(builder, split)
    whole = all(each.take == each.examples_in_shard for each in instructions)
    files = [os.fspath(each.filename) for each in instructions]
    if whole:
        return tf.data.TFRecordDataset(files, buffer_size=8 << 20)
    ranges = np.array([(each.skip, each.take) for each in instructions], np.int64)
    parts = tf.data.Dataset.from_tensor_slices((files, *ranges.T))

    @tf.autograph.experimental.do_not_convert
    def read_part(file, skip, take):
        return tf.data.TFRecordDataset(file).skip(skip).take(take)

    return parts.flat_map(read_part)


def _instructions(builder, split):
    """Returns which records of which files a split has."""
    infos = [builder.info.splits[part] for part in split.split("+")]
    return [each for info in infos for each in info.file_instructions]


def _end(instruction):
    return instruction.skip + instruction.take


def _num_examples(builder, split):
    return sum(builder.info.splits[part].num_examples for part in split.split("+"))


def _check_memory(builder, split, shape, max_gigabytes):
    count = _num_examples(builder, split)
    gigabytes = count * np.prod(shape, dtype=float) / 1e9
    if max_gigabytes is not None and gigabytes > max_gigabytes:
        raise InputError(
            f"{count} images of {' x '.join(map(str, shape))} in {split} of "
            f"{builder.name} take {gigabytes:.3g} GB, more than max_gigabytes="
            f"{max_gigabytes}. Use a lower `data.image_size`, or `data.channels=1`, "
            "or raise the limit."
        )


def _check_count(builder, split, count):
    if count != _num_examples(builder, split):
        reason = f"{count} records in {split}, expected {_num_examples(builder, split)}"
        raise InputError(damaged(builder.data_dir, reason))


def damaged(folder, reason):
    """Says that a prepared folder is not whole, and what to do."""
    return (
        f"'{folder}' is not a complete prepared data set ({reason}). "
        "Remove it, so that it is prepared anew."
    )
