"""Decoded pictures in a file, for data larger than memory; kept between runs.

A store is a folder in the user's cache. `pixels` has the pictures one after the other,
as they were decoded, and `index` which they are. Both only grow: a picture counts once
it is in the index, so a process that is killed loses little, and the next one goes on.
`about.json` says what they are of, and at last that they are all there. Whoever decodes
holds `lock` alone, whoever reads shares it, and what is held is never removed.
"""

import contextlib
import dataclasses
import errno
import json
import os
import pathlib
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ram_tf import files, locks
from ram_tf.data.notes import Notes
from ram_tf.errors import InputError
from ram_tf.files import cache_folder

# So many bytes are written before they count.
CHUNK_BYTES = 64 << 20
SECONDS_BETWEEN_LINES = 20
# About first: a store that is being removed is not taken for a whole one.
_FILES = ("about.json", "index", "pixels", "lock")


@dataclasses.dataclass(frozen=True, eq=False)
class Kept:
    """Pictures in a file, in an order of their own.

    Attributes:
        pixels: `np.memmap` `(total, C)`, uint8, of the whole file.
        starts: Array `(n,)`, integer: the row of `pixels` where each picture begins.
        sizes: Array `(n, 2)`, integer: its height and width.
        digests: List of 16 bytes for each, which another file would change, or `None`.
        lock: What keeps them from being removed while it is there.
    """

    pixels: np.memmap
    starts: np.ndarray
    sizes: np.ndarray
    digests: list | None = None
    lock: object = None

    def take(self, numbers):
        """Returns those of some numbers, in that order."""
        return dataclasses.replace(
            self,
            starts=self.starts[numbers],
            sizes=self.sizes[numbers],
            digests=[self.digests[number] for number in numbers],
        )

    def one_size(self):
        """Returns the height and width of all pictures of the file."""
        height, width = self.sizes[0].tolist()
        if (self.sizes != (height, width)).any() or len(self.pixels) % (height * width):
            raise InputError("The pictures differ in size.")
        return height, width

    def __len__(self):
        return len(self.starts)


class _Lock:
    """An open file, closed when nothing refers to this any more."""

    def __init__(self, file):
        self.file = file

    def __del__(self):
        self.file.close()


class Pictures(NamedTuple):
    """What a store is to hold.

    Attributes:
        of: String, what they are of, for people.
        key: String, a name that other pictures would change.
        count: Integer, how many.
        channels: Integer.
        decode: Function of ({number: (h, w)} of those that are there, `Notes`) that
            yields all others, each with its `number`, `pixels` and `digest`.
        num_bytes: Integer, how many they take, or `None` if it is not known yet.
        gigabytes: Number, the most that all stores may take together.
    """

    of: str
    key: str
    count: int
    channels: int
    decode: Callable[[dict, Notes], Iterator]
    num_bytes: int | None
    gigabytes: float

    @property
    def folder(self):
        """Where they are kept."""
        return cache_folder() / "pictures" / self.key


def is_begun(pictures):
    """Returns whether some of the pictures, or all, are in their store."""
    return (pictures.folder / "about.json").exists()


def is_whole(pictures):
    """Returns whether all pictures are in their store."""
    return _is_whole(pictures.folder)


def keep(pictures, notes):
    """Returns pictures from their store, decoded into it first where they are not.

    If another process decodes them, it is waited for.

    Args:
        pictures: `Pictures`.
        notes: `Notes` that gets what was noticed when they were decoded.

    Returns:
        `Kept`, by number.

    Raises:
        InputError: If there is no room, or the cache cannot be written.
    """
    folder = pictures.folder
    try:
        while True:
            lock = _open_lock(folder)
            if _is_whole(folder):
                locks.take(lock, shared=True, wait=True)
                if _is_current(lock, folder) and _is_whole(folder):
                    return _read(pictures, notes, lock)
                lock.close()
                continue
            with lock:
                had = locks.take(lock)
                if had is False and locks.take(lock, shared=True):
                    # It is read, but was damaged since: whoever reads it goes on.
                    if _is_current(lock, folder) and not _is_whole(folder):
                        _remove(folder)
                    continue
                if had is False:
                    print(
                        f"another process decodes the pictures of {pictures.of}: "
                        "waiting for it",
                        flush=True,
                    )
                    # Shared, as it may read on for days once it has decoded them.
                    locks.take(lock, shared=True, wait=True)
                    continue
                if not _is_current(lock, folder) or _is_whole(folder):
                    continue
                if had is None:
                    _fill_aside(pictures, folder)
                else:
                    _fill(pictures, folder)
    except OSError as error:
        raise InputError(
            f"the decoded pictures of {pictures.of} cannot be kept in '{folder}' "
            f"({error.strerror or error}): set XDG_CACHE_HOME to a folder that can be "
            "written to and has room, or lower `data.image_size`, or raise "
            "`data.max_gigabytes` to keep them in memory."
        ) from error


def _open_lock(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return open(folder / "lock", "a")
    except OSError:
        if _is_whole(folder):  # It need not be written any more.
            return open(folder / "lock")
        raise


def _is_current(lock, folder):
    """Whether a lock is still that of the folder: it may have been removed."""
    try:
        return os.path.samestat(os.fstat(lock.fileno()), os.stat(folder / "lock"))
    except FileNotFoundError:
        return False


def _about(folder):
    """What a store says of itself; `None` if there is none, or it is damaged."""
    with contextlib.suppress(OSError, ValueError):
        about = json.loads((folder / "about.json").read_text())
        if isinstance(about, dict) and "finished" in about:
            return about
    return None


def _is_whole(folder):
    about = _about(folder)
    return (
        about is not None
        and about["finished"]
        and _size(folder / "pixels") == about["num_bytes"]
        and _size(folder / "index") == about["count"] * _RECORD.itemsize
    )


# Of a picture in the index.
_RECORD = np.dtype(
    [("number", "<i8"), ("height", "<i8"), ("width", "<i8"), ("digest", "V16")]
)


def _size(path):
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return 0


def _records(folder):
    path = folder / "index"
    return np.fromfile(path, _RECORD) if path.exists() else np.empty(0, _RECORD)


def _read(pictures, notes, lock):
    """Reads a whole store."""
    folder = pictures.folder
    with contextlib.suppress(OSError):
        os.utime(folder / "lock")
    notes.add_state(_about(folder)["notes"])
    records = _records(folder)
    counts = records["height"] * records["width"]
    shape = (counts.sum(), pictures.channels)
    # In the order of the numbers, not in that of the file.
    order = np.argsort(records["number"])
    return Kept(
        np.memmap(folder / "pixels", np.uint8, "r", shape=shape),
        (np.cumsum(counts) - counts)[order],
        np.stack([records["height"], records["width"]], axis=1)[order],
        [mark.tobytes() for mark in records["digest"][order]],
        _Lock(lock),
    )


def _fill_aside(pictures, folder):
    """Decodes pictures where there are no locks: under a name of its own."""
    aside = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}")
    aside.mkdir()
    try:
        _fill(pictures, aside)
        with contextlib.suppress(OSError):
            (folder / "lock").unlink()
            folder.rmdir()
        (aside / "lock").touch()
        with contextlib.suppress(OSError):  # Another process was faster.
            aside.rename(folder)
    finally:
        _remove(aside)


def _fill(pictures, folder):
    """Decodes the pictures that are not in a store yet."""
    channels, own = pictures.channels, Notes()
    about = _about(folder) or {"notes": own.state()}
    own.add_state(about["notes"])
    records = _whole_records(folder, channels)
    done = int((records["height"] * records["width"]).sum()) * channels
    if pictures.num_bytes is not None:
        make_room(pictures, pictures.num_bytes - done, done)

    def describe(finished):
        files.write_json(
            folder / "about.json",
            {
                "of": pictures.of,
                "count": pictures.count,
                "num_bytes": done,
                "notes": own.state(),
                "finished": finished,
            },
        )

    describe(finished=False)
    there = {number: size for number, *size, _ in records.tolist()}
    left = pictures.count - len(there)
    if left:
        what = f"{left:,} pictures of {pictures.of}"
        print(f"decoding {what} into '{folder}' (once) ...", flush=True)
    said = time.monotonic()
    with open(folder / "pixels", "ab") as pixels, open(folder / "index", "ab") as index:
        try:
            for chunk in _chunks(pictures.decode(there, own)):
                size = sum(each.pixels.nbytes for each in chunk)
                make_room(pictures, size, done)
                for each in chunk:
                    pixels.write(np.ascontiguousarray(each.pixels).data)
                _flush(pixels)
                added = [(e.number, *e.pixels.shape[:2], e.digest) for e in chunk]
                index.write(np.array(added, _RECORD).tobytes())
                _flush(index)
                done, left = done + size, left - len(chunk)
                describe(finished=False)
                if left and time.monotonic() - said > SECONDS_BETWEEN_LINES:
                    said = time.monotonic()
                    print(f"  {left:,} pictures left", flush=True)
        except BaseException as error:
            if _is_in_vain(error):
                _remove(folder)
            raise
    describe(finished=True)


def _is_in_vain(error):
    """Whether what was decoded will never be used: files must change, or disk is full.

    A process that is stopped goes on another time.
    """
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, InputError) and not isinstance(error, NoRoom)


def _whole_records(folder, channels):
    """Reads an index, cuts both files to the pictures that are whole in them."""
    records = _records(folder)
    ends = np.cumsum(records["height"] * records["width"]) * channels
    num_whole = int((ends <= _size(folder / "pixels")).sum())
    records = records[:num_whole]
    for name, size in (
        ("pixels", int(ends[num_whole - 1]) if num_whole else 0),
        ("index", num_whole * _RECORD.itemsize),
    ):
        with open(folder / name, "ab") as file:
            file.truncate(size)
    return records


def _chunks(decoded):
    """Yields lists of pictures."""
    chunk, size = [], 0
    for picture in decoded:
        chunk.append(picture)
        size += picture.pixels.nbytes
        if size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _flush(file):
    file.flush()
    os.fsync(file.fileno())


class NoRoom(InputError):
    """Pictures would take more than they may, or than there is."""


def make_room(pictures, needed, there):
    """Removes the stores that were used least recently until so many bytes more fit.

    Those that a process uses stay.

    Args:
        pictures: `Pictures`.
        needed: Integer, bytes.
        there: Integer, bytes that the pictures take already.

    Raises:
        NoRoom: If they do not fit all the same.
    """
    limit = pictures.gigabytes * 1e9
    take = "take" if pictures.num_bytes is not None else "take at least"
    gigabytes = (needed + there) / 1e9
    what = f"the decoded pictures of {pictures.of} {take} {gigabytes:.3g} GB"
    mend = "Lower `data.image_size`, or use `data.channels=1`"
    if needed + there > limit:
        raise NoRoom(
            f"{what}, more than cache_gigabytes={pictures.gigabytes}. {mend}, or raise "
            "the limit."
        )
    root = pictures.folder.parent
    others = [each for each in root.iterdir() if not each.name.startswith(pictures.key)]
    sizes = {each: _size(each / "pixels") for each in others}
    for each in sorted(others, key=_last_used):
        if needed + there + sum(sizes.values()) <= limit:
            break
        if sizes[each] and _remove_unused(each):
            print(
                f"removed the decoded pictures in '{each}' ({sizes[each] / 1e9:.3g} "
                f"GB): `data.cache_gigabytes` is {pictures.gigabytes}",
                flush=True,
            )
            sizes[each] = 0
    used = sum(sizes.values())
    if needed + there + used > limit:
        raise NoRoom(
            f"{what}, and others that are in use {used / 1e9:.3g} GB: more than "
            f"cache_gigabytes={pictures.gigabytes}. Wait, or raise the limit."
        )
    free = shutil.disk_usage(root).free
    if needed > free:
        raise NoRoom(
            f"{what}, and {free / 1e9:.3g} GB are free in '{root}'. {mend}, or make "
            "room there, or set XDG_CACHE_HOME to a folder on another disk."
        )


def _last_used(folder):
    try:
        return os.path.getmtime(folder / "lock")
    except OSError:
        return 0.0


def _remove_unused(folder):
    """Removes a store unless a process uses it, or it cannot be known."""
    with contextlib.suppress(OSError), open(folder / "lock", "a") as lock:
        if locks.take(lock):
            _remove(folder)
            return True
    return False


def _remove(folder):
    with contextlib.suppress(OSError):
        for name in _FILES:
            pathlib.Path(folder, name).unlink(missing_ok=True)
        folder.rmdir()
