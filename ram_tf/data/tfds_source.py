"""Data sets of TensorFlow Datasets: prepared, from their archives, or downloaded.

What TensorFlow Datasets does by itself, and we do not leave to it: it takes any folder
with the right name for prepared, caches extracted files by file name (several data sets
share names), and retries for minutes without a network.
"""

import contextlib
import functools
import glob
import hashlib
import io
import json
import os
import pathlib
import re
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from ram_tf.data.cache import digest, state_of
from ram_tf.data.records import (
    AS_THEY_ARE,
    check_splits,
    damaged,
    find_keys,
    read_split,
)
from ram_tf.errors import InputError
from ram_tf.files import cache_folder, expand_path

PROBE_SECONDS = 3.0
# What says nothing of the data that were to be read.
_NOT_ITS_FAULT = PermissionError, tf.errors.ResourceExhaustedError


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


def load_tfds(name, datapath=None, splits=("train", "test"), form=AS_THEY_ARE):
    """Reads a data set of TensorFlow Datasets into memory.

    1. A prepared folder in `datapath` is read as it is.
    2. Original archives in `datapath` are checked and prepared, without any network.
    3. Otherwise what is missing is downloaded.

    Nothing is ever written to `datapath`: what is prepared or downloaded goes to
    `~/.cache/ram_tf`, and the decoded arrays, for the next time, to `decoded` in there.

    Args:
        name: String, the library's name of the data set or a key of `BUILDERS`; of one
            in several configurations, "name/configuration".
        datapath: Path or `None`, which means the library's own folder.
        splits: Names of the splits to read; "train+extra" is both as one, "train[:80%]"
            a part of one. No two may share images.
        form: `Form` that images are brought to.

    Returns:
        A dictionary of (images `(n, h, w, C)` uint8, labels `(n,)` int64) by split,
        and the tuple of class names. Images of different sizes are a list of arrays,
        decoded each time.
    """
    if datapath is not None:
        datapath = pathlib.Path(expand_path(datapath))
        if not datapath.is_dir():
            raise InputError(
                f"The datapath '{datapath}' is not a folder. Give the folder that "
                f"holds {name}, or leave it out to download."
            )
    import tensorflow_datasets as tfds

    root = datapath or _default_folder()
    folder = _prepared_folder(name, root) or _prepare(name, datapath)
    try:
        builder = tfds.builder_from_directory(folder)
        keys = find_keys(builder)
        check_splits(builder, splits)
        arrays = {split: read_split(builder, split, keys, form) for split in splits}
    except (KeyError, OSError, ValueError, tf.errors.OpError) as error:
        if isinstance(error, (InputError, *_NOT_ITS_FAULT)):
            raise
        raise InputError(damaged(folder, _first_line(error))) from error
    return arrays, tuple(builder.info.features[keys.label].names)


def _prepared_folder(name, root):
    """Returns the newest prepared folder of `name` in `root`, or `None`.

    Raises:
        InputError: If there are several configurations and `name` does not say which.
    """
    data_set, _, configuration = name.partition("/")
    found, there = {}, set()
    top = glob.escape(data_set) or "*"
    own = glob.escape(configuration) or "*"
    for known, version, folder in _prepared(
        root, ("", "*/", f"{top}/*/", f"{top}/{own}/*/")
    ):
        if known[0] == data_set and configuration in ("", known[1]):
            found[version] = folder
            there.add(known[1])
    if len(there) > 1:
        raise InputError(
            f"'{root}' holds {data_set} in several configurations: name one of "
            f"{', '.join(f'{data_set}/{own}' for own in sorted(there))}."
        )
    return found[max(found)] if found else None


def _prepared(root, patterns):
    """Yields ((name, configuration), version, folder) of all that is prepared there."""
    for pattern in patterns:
        for path in root.glob(pattern + "dataset_info.json"):
            folder = path.parent.resolve()
            version = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", folder.name)
            with contextlib.suppress(ValueError, AttributeError):
                info = json.loads(path.read_text())
                if version:
                    known = info.get("name"), info.get("configName", "")
                    yield known, tuple(map(int, version.groups())), folder


def _prepared_names(root):
    """The names of all data sets that are prepared in a folder, sorted."""
    everything = _prepared(root, ("", "*/", "*/*/", "*/*/*/"))
    return sorted(
        {f"{name}/{own}" if own else f"{name}" for (name, own), *_ in everything}
    )


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
    except OSError as error:
        raise InputError(
            f"{name} cannot be prepared in '{target}' ({_first_line(error)}): set "
            "XDG_CACHE_HOME to a folder that can be written to."
        ) from error
    try:
        builder = make_builder(data_dir=target)
        if os.path.lexists(builder.data_dir):
            # The library would take it for prepared.
            raise InputError(damaged(builder.data_dir, "no dataset_info.json"))
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
            content=state_of(source) if source else builder_class.URL,
        )
    data_set, _, configuration = name.partition("/")
    try:
        builder_class = tfds.builder_cls(data_set)
    except (ImportError, ValueError) as error:
        root = datapath or _default_folder()
        there = _prepared_names(root) or ["nothing"]
        raise InputError(
            f"there is no data set {data_set!r} that TensorFlow Datasets can make or "
            f"that is prepared in '{root}', which has {', '.join(there)}: expected one "
            "of these, or a name of its catalogue, as in 'cifar10'."
        ) from error
    known = [each.name for each in builder_class.BUILDER_CONFIGS]
    if configuration not in (known or [""]):
        expected = ", ".join(f"{data_set}/{each}" for each in known) or data_set
        raise InputError(f"there is no data set {name!r}: expected {expected}.")
    registered = {
        url: (info.filename or url.rsplit("/", 1)[-1], int(info.size), info.checksum)
        for url, info in (builder_class.url_infos or {}).items()
    }
    return _Originals(
        make_builder=functools.partial(builder_class, config=configuration or None),
        archives={url: filename for url, (filename, _, _) in registered.items()},
        missing=_missing_archives(registered, datapath),
        content=repr(sorted(registered.items())),
    )


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
        return _default_folder()
    # By content: one name of a data set may stand for other archives another day.
    return cache_folder() / name.partition("/")[0] / digest(content)


def _default_folder():
    """The library's own folder."""
    import tensorflow_datasets as tfds

    default = os.environ.get("TFDS_DATA_DIR") or tfds.core.constants.DATA_DIR
    return pathlib.Path(os.path.expanduser(default))


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


def _first_line(error):
    """Returns the class of an error and the beginning of what it says."""
    text = str(error).strip().splitlines()
    return (
        f"{type(error).__name__}: {text[0][:800].rstrip(' .:')}"
        if text
        else type(error).__name__
    )
