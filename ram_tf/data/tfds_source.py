"""Data sets of TensorFlow Datasets: prepared, from their archives, or downloaded.

What TensorFlow Datasets does by itself, and we do not leave to it: it takes any folder
with the right name for prepared, caches extracted files by file name (several data sets
share names), and retries for minutes without a network.
"""

import contextlib
import functools
import hashlib
import io
import json
import os
import pathlib
import re
import stat
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ram_tf.errors import InputError

PROBE_SECONDS = 3.0


class _Originals(NamedTuple):
    """What a data set is made from.

    Args:
        make_builder: Function of `data_dir` that returns the builder.
        archives: Dictionary of file names by URL.
        missing: List of the URLs of those that are not at hand.
        content: String, another one for other archives.
    """

    make_builder: Callable
    archives: dict[str, str]
    missing: list[str]
    content: str


# What is read of a record.
_FIELDS = {
    "image": tf.io.FixedLenFeature((), tf.string),
    "label": tf.io.FixedLenFeature((), tf.int64),
}


def load_tfds(name, datapath=None, splits=("train", "test")):
    """Reads a data set of TensorFlow Datasets into memory.

    1. A prepared folder in `datapath` is read as it is.
    2. Original archives in `datapath` are checked and prepared, without any network:
       into `datapath`, or into `~/.cache/ram_tf` where that is read-only.
    3. Otherwise what is missing is downloaded.

    Decoding takes some seconds for every 100,000 images, so the arrays are kept in
    `~/.cache/ram_tf/decoded` for the next time; that folder may be removed at any time.

    Args:
        name: String, the library's name of the data set or a key of `BUILDERS`.
        datapath: Path or `None`, which means the library's own folder.
        splits: Names of the splits to read; "train+extra" is both as one.

    Returns:
        A dictionary of (images `(n, h, w, C)` uint8, labels `(n,)` int64) by split,
        and the tuple of class names. Images of different sizes are a list of arrays,
        decoded each time.
    """
    if datapath is not None:
        datapath = pathlib.Path(datapath).expanduser()
        if not datapath.is_dir():
            raise InputError(
                f"The datapath '{datapath}' is not a folder. Give the folder that "
                f"holds {name}, or an empty one to download to."
            )
    import tensorflow_datasets as tfds

    folder = datapath and _prepared_folder(name, datapath)
    folder = folder or _prepare(name, datapath)
    try:
        builder = tfds.builder_from_directory(folder)
        arrays = {split: _decoded(builder, split) for split in splits}
    except (KeyError, OSError, ValueError, tf.errors.OpError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(_damaged(folder, _first_line(error))) from error
    return arrays, tuple(builder.info.features["label"].names)


def _prepared_folder(name, root):
    """Returns the newest prepared folder of `name` in `root`, or `None`."""
    found = {}
    for pattern in ("", "*/", f"{name}/*/"):
        for path in root.glob(pattern + "dataset_info.json"):
            folder = path.parent.resolve()
            version = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", folder.name)
            with contextlib.suppress(ValueError, AttributeError):
                if version and json.loads(path.read_text()).get("name") == name:
                    found[tuple(map(int, version.groups()))] = folder
    return found[max(found)] if found else None


def _prepare(name, datapath):
    """Makes the prepared folder of a data set and returns it."""
    import tensorflow_datasets as tfds

    make_builder, archives, missing, content = _originals(name, datapath)
    target = _target(name, content, datapath)
    folder = _prepared_folder(name, target)
    if folder:
        return folder
    _check_reachable(name, archives, missing, datapath)
    place = f"{datapath}" if not missing else f"the network into {target}"
    print(
        f"preparing {name} from {place} (once, about a minute for 50,000 images) ...",
        flush=True,
    )
    try:
        target.mkdir(parents=True, exist_ok=True)
        builder = make_builder(data_dir=target)
        if os.path.lexists(builder.data_dir):
            # The library would take it for prepared.
            raise InputError(_damaged(builder.data_dir, "no dataset_info.json"))
        # Extracted files go to a folder of their own: the cache is by file name.
        with (
            tempfile.TemporaryDirectory(
                prefix=".extracted-",
                dir=target,
                ignore_cleanup_errors=True,  # its threads outlive a failure
            ) as extracted,
            _quiet(progress_bar=bool(missing)),
        ):
            builder.download_and_prepare(
                download_dir=target / "downloads" if missing else extracted,
                download_config=tfds.download.DownloadConfig(
                    manual_dir=datapath,
                    extract_dir=extracted,
                    try_download_gcs=False,
                ),
            )
    except InputError:
        raise
    # Whatever a builder raises on data it did not expect; the cause is kept.
    except Exception as error:
        folder = _prepared_folder(name, target)  # another process was faster
        if folder is None:
            raise InputError(
                f"{name} could not be prepared in '{target}': {_first_line(error)}."
            ) from error
        return folder
    return pathlib.Path(builder.data_dir)


def _originals(name, datapath):
    """Finds the archives of a data set, and checks those of registered checksums."""
    import tensorflow_datasets as tfds

    from ram_tf.data.builders import BUILDERS

    if name in BUILDERS:
        builder_class = BUILDERS[name]
        source = datapath and builder_class.find(datapath)
        return _Originals(
            make_builder=functools.partial(builder_class, source=source),
            archives={builder_class.URL: builder_class.filename()},
            missing=[] if source else [builder_class.URL],
            content=_state(source) if source else builder_class.URL,
        )
    builder_class = tfds.builder_cls(name)
    registered = {
        url: (info.filename or url.rsplit("/", 1)[-1], int(info.size), info.checksum)
        for url, info in (builder_class.url_infos or {}).items()
    }
    return _Originals(
        make_builder=builder_class,
        archives={url: filename for url, (filename, _, _) in registered.items()},
        missing=_missing_archives(registered, datapath),
        content=repr(sorted(registered.items())),
    )


def _state(source):
    """Returns a string that changes when a file, or the top of a tree, does."""
    paths = [source, *sorted(source.iterdir())] if source.is_dir() else [source]
    stats = {os.fspath(path.resolve()): path.stat() for path in paths if path.exists()}
    return repr([(path, s.st_size, s.st_mtime_ns) for path, s in stats.items()])


def _missing_archives(registered, datapath):
    """Checks the archives that are there and returns the URLs of the others."""
    missing = []
    for url, (filename, size, checksum) in registered.items():
        path = datapath and datapath / filename
        if not path or not path.exists():
            missing.append(url)
            continue
        mend = f"Replace it with {url}, or remove it."
        try:
            if path.stat().st_size != size:
                raise InputError(
                    f"The archive '{path}' is cut short or another file: it has "
                    f"{path.stat().st_size} bytes, expected {size}. {mend}"
                )
            received = _sha256(path)
        except OSError as error:
            raise InputError(
                f"The archive '{path}' cannot be read: {error}."
            ) from error
        if received != checksum:
            raise InputError(
                f"The archive '{path}' is damaged or another file: its sha256 is "
                f"{received}, expected {checksum}. {mend}"
            )
    return missing


def _sha256(path):
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _target(name, content, datapath):
    """Returns the folder to prepare in, which TensorFlow Datasets calls data_dir."""
    if datapath is None:
        import tensorflow_datasets as tfds

        default = os.environ.get("TFDS_DATA_DIR") or tfds.core.constants.DATA_DIR
        return pathlib.Path(default).expanduser()
    # The superuser may write everywhere, but a folder marked read-only is meant so.
    writable = datapath.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    if writable and os.access(datapath, os.W_OK):
        return datapath
    # By content: one name of a data set may stand for other archives another day.
    return _cache() / name / _digest(content)


def _cache():
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(cache).expanduser() / "ram_tf"


def _digest(content):
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _check_reachable(name, archives, missing, datapath):
    """Raises an `InputError` unless all missing archives can be downloaded."""
    failures = _probe(missing)
    if not failures:
        return
    files = "; ".join(f"{archives[url]} from {url}" for url in missing)
    where = f"into '{datapath}'" if datapath else "into a folder and give its datapath"
    raise InputError(
        f"{name} is not prepared, {len(missing)} of its {len(archives)} archives are "
        f"missing and cannot be downloaded ({next(iter(failures.values()))}). "
        f"Put {where}: {files}."
    )


def _probe(urls, seconds=PROBE_SECONDS):
    """Returns {url: reason} for the URLs that do not answer in time."""
    failures = dict.fromkeys(urls, f"no answer within {seconds:g} s")

    def ask(url):
        try:
            request = urllib.request.Request(url, headers={"User-Agent": "ram_tf"})
            urllib.request.urlopen(request, timeout=seconds).close()
        except (OSError, ValueError) as error:
            # An untrusted certificate is an answer; the download has its own store.
            if "CERTIFICATE_VERIFY" not in str(error):
                failures[url] = _first_line(error)
                return
        del failures[url]

    # Threads, because the time limit does not hold for looking up a name.
    threads = [threading.Thread(target=ask, args=[url], daemon=True) for url in urls]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    return dict(failures)


@contextlib.contextmanager
def _quiet(progress_bar):
    """Keeps TensorFlow Datasets from printing, but for the bar of a download."""
    import tensorflow_datasets as tfds

    tfds.display_progress_bar(progress_bar)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.display_progress_bar(True)


def _decoded(builder, split):
    """Returns what `_read_split` does, from the cache if nothing has changed since."""
    if None in builder.info.features["image"].shape:
        return _read_photographs(builder, split)
    state = _digest(_state(pathlib.Path(builder.data_dir)))
    path = _cache() / "decoded" / f"{builder.name}-{split}-{state}.npz"
    # A file that is not there, or not whole, is no reason to stop.
    damaged = OSError, ValueError, KeyError, zipfile.BadZipFile
    with contextlib.suppress(*damaged), np.load(path) as arrays:
        return arrays["images"], arrays["labels"]
    images, labels = _read_split(builder, split)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as aside:
            np.savez(pathlib.Path(aside, path.name), images=images, labels=labels)
            pathlib.Path(aside, path.name).replace(path)
    return images, labels


def _read_split(builder, split):
    """Reads the images and labels of one split, or of several, "train+extra".

    Whole blocks of records are parsed at once, which is several times faster than
    `as_dataset`, one record at a time.
    """
    shape = builder.info.features["image"].shape
    decode_image, blocks = _decoder(builder), _records(builder, split).batch(1000)

    def decode(records):
        examples = tf.io.parse_example(records, _FIELDS)
        images = tf.map_fn(
            decode_image,
            examples["image"],
            fn_output_signature=tf.TensorSpec(shape, tf.uint8),
        )
        return images, examples["label"]

    blocks = blocks.map(decode, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
    num_examples = _num_examples(builder, split)
    images = np.empty((num_examples, *shape), np.uint8)
    labels = np.empty(num_examples, np.int64)
    count = 0
    for some_images, some_labels in blocks.as_numpy_iterator():
        end = count + len(some_labels)
        if end <= len(labels):
            images[count:end], labels[count:end] = some_images, some_labels
        count = end
    _check_count(builder, split, count)
    return images, labels


def _read_photographs(builder, split):
    """Reads a split whose images have different sizes."""
    decode_image = _decoder(builder)

    def decode(record):
        example = tf.io.parse_single_example(record, _FIELDS)
        return decode_image(example["image"]), example["label"]

    records = _records(builder, split)
    records = records.map(decode, num_parallel_calls=tf.data.AUTOTUNE).prefetch(100)
    images, labels = [], []
    for image, label in records.as_numpy_iterator():
        images.append(image)
        labels.append(label)
    _check_count(builder, split, len(labels))
    return images, np.array(labels, np.int64)


def _decoder(builder):
    """Returns the function that decodes an image as all other readers do."""
    feature = builder.info.features["image"]
    decode_image = tf.io.decode_png  # or JPEG, GIF, BMP
    if feature.encoding_format == "jpeg":
        # The other method, faster once, differs from what all other readers give.
        decode_image = functools.partial(
            tf.io.decode_jpeg, dct_method="INTEGER_ACCURATE"
        )
    return functools.partial(decode_image, channels=feature.shape[-1])


def _records(builder, split):
    """Returns the records of a split, or of several, "train+extra"."""
    if builder.info.file_format.value != "tfrecord":
        raise InputError(
            f"'{builder.data_dir}' holds {builder.info.file_format.value} files, "
            "expected tfrecord. Prepare it with file_format='tfrecord'."
        )
    infos = [builder.info.splits[part] for part in split.split("+")]
    files = [os.fspath(path) for info in infos for path in info.filepaths]
    return tf.data.TFRecordDataset(files, buffer_size=8 << 20)


def _num_examples(builder, split):
    return sum(builder.info.splits[part].num_examples for part in split.split("+"))


def _check_count(builder, split, count):
    if count != _num_examples(builder, split):
        reason = f"{count} records in {split}, expected {_num_examples(builder, split)}"
        raise InputError(_damaged(builder.data_dir, reason))


def _damaged(folder, reason):
    return (
        f"'{folder}' is not a complete prepared data set ({reason}). "
        "Remove it, so that it is prepared anew."
    )


def _first_line(error):
    """Returns the class of an error and the beginning of what it says."""
    text = str(error).strip().splitlines()
    return (
        f"{type(error).__name__}: {text[0][:800].rstrip(' .:')}"
        if text
        else type(error).__name__
    )
