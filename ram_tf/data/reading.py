"""Pictures of a folder or an archive, decoded: into memory, or into a file once."""

import collections
import functools
import hashlib
import inspect
import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from ram_tf.data import decode, formats, levels, store
from ram_tf.data.cache import digest
from ram_tf.data.notes import Notes
from ram_tf.errors import InputError
from ram_tf.processors import num_processors

# Bytes of files and of decoded pictures that are held on the way, and of the files that
# one thread takes at once. One file or picture may be larger by itself.
HELD_BYTES = 64 << 20
GROUP_BYTES = 1 << 20
GROUP_FILES = 32
# So many unreadable files are named.
SHOWN = 20


class Cache(NamedTuple):
    """What is to be known to keep the decoded pictures of some data.

    Args:
        of: String, what they are of, for people.
        files: List of `File`, all that are kept, whatever splits are read.
        state: Function that returns a string which other files would change.
        gigabytes: Number, the most that all decoded pictures may take there; 0 keeps
            none.
    """

    of: str
    files: list
    state: collections.abc.Callable
    gigabytes: float


class Decoded(NamedTuple):
    """A picture.

    Attributes:
        number: Integer, of its file among all that are kept.
        pixels: Array `(h, w, C)`, uint8.
        digest: 16 bytes that another file would change.
    """

    number: int
    pixels: np.ndarray
    digest: bytes


class _Form(NamedTuple):
    """All that decides the pixels of a file."""

    size: tuple[int, int] | None
    any_size: bool
    channels: int
    value_range: tuple | None


# What decides the pixels, what may be held, and where.
def decode_all(
    groups,
    image_size,
    any_size,
    channels,
    max_gigabytes,
    *,
    value_range=None,
    notes=None,
    cache=None,
):
    """Decodes the pictures of all splits by threads, in the order of the archive.

    Args:
        groups: Dictionary of lists of `File` by split.
        image_size: (height, width) or `None`: as they are.
        any_size: Boolean. They may differ in size.
        channels: 3 or 1.
        max_gigabytes: Number, the most that they may take in memory. More are kept in a
            file and read from there, and so are those that are there already.
        value_range: As for `decode_image`.
        notes: `Notes` that gets what is noticed about files, or `None`.
        cache: `Cache`, or `None`: none are kept.

    Returns:
        {split: images}: an array `(n, h, w, C)` uint8, or a list of arrays where any
        size will do; or `Kept` where they are in a file. And {split: list of 16 bytes
        for each picture}, which another file would change.

    Raises:
        InputError: If files cannot be read, which are named all at once, or there is no
            room.
    """
    form = _Form(image_size, any_size, channels, value_range)
    notes = Notes() if notes is None else notes
    asked = [file for files in groups.values() for file in files]
    files = sorted(cache.files if cache else asked, key=lambda file: file.parts)
    numbers = {file.parts: number for number, file in enumerate(files)}
    numbers = {
        split: np.array([numbers[file.parts] for file in of_split], np.int64)
        for split, of_split in groups.items()
    }
    pictures = cache and cache.gigabytes > 0 and _to_keep(files, form, cache)
    # Those that were begun are gone on with, unless few of them are asked for.
    if not (
        pictures
        and store.is_begun(pictures)
        and (len(asked) == len(files) or store.is_whole(pictures))
    ):
        try:
            return _in_memory(files, numbers, form, max_gigabytes, notes)
        except _TooLarge as error:
            if not pictures:
                raise InputError(
                    f"{error}, more than max_gigabytes={max_gigabytes}. Use a lower "
                    "`data.image_size`, or `data.channels=1`, or raise the limit, or "
                    "`data.cache_gigabytes` to read them from a file."
                ) from error
            if error.bytes_each:
                num_bytes = error.bytes_each * len(files)
                pictures = pictures._replace(num_bytes=num_bytes)
    kept = store.keep(pictures, notes)
    kept = {split: kept.take(of_split) for split, of_split in numbers.items()}
    return kept, {split: each.digests for split, each in kept.items()}


class _TooLarge(Exception):
    """Pictures take more memory than they may.

    Args:
        num_bytes: Integer, what they take.
        bytes_each: Integer, of pictures of one size; `None` of others.
        what: String, what they are.
    """

    def __init__(self, num_bytes, bytes_each, what):
        self.bytes_each = bytes_each
        super().__init__(f"{what} take {num_bytes / 1e9:.3g} GB")


def _in_memory(files, numbers, form, max_gigabytes, notes):
    """Decodes pictures into an array of each split, or a list of them."""
    places = {
        number: (split, index)
        for split, of_split in numbers.items()
        for index, number in enumerate(of_split.tolist())
    }
    arrays = {split: [None] * len(of_split) for split, of_split in numbers.items()}
    digests = {split: [None] * len(of_split) for split, of_split in numbers.items()}
    decoded, first = _decoded(files, form, {}, notes, chosen=places), []
    if not form.any_size:
        shape = form.size and (*form.size, form.channels)
        if shape is None:
            first = [next(decoded)]
            shape = first[0].pixels.shape
        each = math.prod(shape)
        if len(places) * each > max_gigabytes * 1e9:
            what = f"{len(places)} images of {' x '.join(map(str, shape))}"
            raise _TooLarge(len(places) * each, each, what)
        arrays = {
            split: np.empty((len(of_split), *shape), np.uint8)
            for split, of_split in arrays.items()
        }
    held = 0
    for count, picture in enumerate(itertools.chain(first, decoded), start=1):
        split, index = places[picture.number]
        arrays[split][index] = picture.pixels
        digests[split][index] = picture.digest
        held += picture.pixels.nbytes
        if form.any_size and held > max_gigabytes * 1e9:
            what = f"The first {count} of {len(places)} images"
            raise _TooLarge(held, None, what)
    return arrays, digests


def _to_keep(files, form, cache):
    """The `Pictures` of some files, of a name that all that decides them changes."""
    import PIL

    decoder = [inspect.getsource(module) for module in (decode, formats, levels)]
    known = form.size is not None
    return store.Pictures(
        of=cache.of,
        key=digest(repr((decoder, PIL.__version__, cache.state(), form))),
        count=len(files),
        channels=form.channels,
        decode=functools.partial(_decoded, files, form),
        num_bytes=len(files) * math.prod(form.size) * form.channels if known else None,
        gigabytes=cache.gigabytes,
    )


def _decoded(files, form, done, notes, chosen=None):
    """Yields the `Decoded` of files that are not done, in the order of the archive.

    Args:
        files: List of `File`.
        form: `_Form`.
        done: Dictionary of (height, width) by number.
        notes: `Notes`.
        chosen: Collection of numbers, or `None`: all.

    Raises:
        InputError: At the end, naming those that cannot be read; or at the first of
            another size, where one size is asked for.
    """

    def decode_one(number, content):
        if isinstance(content, InputError):
            return content
        name = files[number].name
        try:
            pixels = decode.decode_image(
                content, name, form.size, form.channels, form.value_range, notes
            )
        except InputError as error:
            return error
        mark = hashlib.blake2b(content, digest_size=16).digest()
        return Decoded(number, pixels, mark)

    order = range(len(files)) if chosen is None else chosen
    order = [number for number in order if number not in done]
    order.sort(key=lambda number: files[number].position)
    failed, first = [], None
    for number, size in itertools.islice(done.items(), 1):
        first = files[number].name, (*size, form.channels)
    for number, result in _in_threads(decode_one, _read(files, order)):
        if isinstance(result, InputError):
            failed.append((number, result))
            continue
        shape = result.pixels.shape
        first = (files[number].name, shape) if first is None else first
        if not form.any_size and shape != first[1]:
            raise InputError(
                f"The images differ in size: '{first[0]}' has {_by(first[1])} "
                f"pixels, '{files[number].name}' {_by(shape)}. "
                "Set `data.image_size` to resize them, or `data.square` to keep them."
            )
        yield result
    if failed:
        raise _unreadable(failed, files, count=len(done) + len(order))


def _by(shape):
    return f"{shape[0]} x {shape[1]}"


def _unreadable(failed, files, count):
    """An error that names all files that cannot be read."""
    if len(failed) == 1:
        return failed[0][1]
    failed = sorted(failed, key=lambda each: each[0])
    names = ", ".join(f"'{files[number].name}'" for number, _ in failed[:SHOWN])
    more = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
    return InputError(
        f"{len(failed)} of {count} images cannot be read: {names}{more}. The "
        f"first: {failed[0][1]}"
    )


def _read(files, order):
    """Yields (number, bytes, or why they cannot be read)."""
    for number in order:
        try:
            content = files[number].read()
        except InputError as error:
            content = error
        yield number, content


def _in_threads(decode_one, contents):
    """Yields (number, result) in order; holds few bytes at a time.

    Args:
        decode_one: Function of a number and the bytes of a file.
        contents: Iterator of (number, bytes).
    """
    num_threads = num_processors()

    def decode_group(group):
        results = [(number, decode_one(number, content)) for number, content in group]
        return results, sum(map(_num_bytes, results))

    # Of each group: its future results, and the bytes of its files.
    waiting, growth = collections.deque(), 1.0

    def held():
        return sum(
            future.result()[1] if future.done() else num_bytes * growth
            for future, num_bytes in waiting
        )

    with ThreadPoolExecutor(num_threads) as pool:
        for group in _groups(contents):
            num_bytes = sum(map(_num_bytes, group))
            waiting.append((pool.submit(decode_group, group), num_bytes))
            del group
            while len(waiting) > 2 * num_threads or held() > HELD_BYTES:
                future, num_bytes = waiting.popleft()
                results, grown = future.result()
                # What is still to be decoded will grow as those before did.
                growth = max(grown / max(num_bytes, 1), 0.9 * growth, 1.0)
                del future
                yield from results
                del results
        while waiting:
            yield from waiting.popleft()[0].result()[0]


def _num_bytes(item):
    """Bytes of a (number, file) or of a (number, picture)."""
    _, content = item
    if isinstance(content, InputError):
        return 0
    return content.pixels.nbytes if isinstance(content, Decoded) else len(content)


def _groups(contents):
    group, held = [], 0
    for item in contents:
        group.append(item)
        held += _num_bytes(item)
        if held >= GROUP_BYTES or len(group) >= GROUP_FILES:
            yield group
            group, held = [], 0
    if group:
        yield group
