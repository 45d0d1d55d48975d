"""Pictures of a folder or an archive, decoded: into memory, or into a file once."""

import collections
import functools
import inspect
import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from ram_tf.data import decode, store
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
        state: Function that returns a string which other files would change.
        gigabytes: Number, the most that all decoded pictures may take there; 0 keeps
            none.
    """

    of: str
    state: collections.abc.Callable
    gigabytes: float


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
        groups: Dictionary of lists of (`File`, label) by split.
        image_size: (height, width) or `None`: as they are.
        any_size: Boolean. They may differ in size.
        channels: 3 or 1.
        max_gigabytes: Number, the most that they may take in memory. More are kept in a
            file and read from there, and so are those that are there already.
        value_range: The lowest and highest value of files with more than 8 bits, or
            `None`.
        notes: `Notes` that gets what is noticed about files, or `None`.
        cache: `Cache`, or `None`: none are kept.

    Returns:
        {split: images}: an array `(n, h, w, C)` uint8, or a list of arrays where any
        size will do; or `Kept` where they are in a file.

    Raises:
        InputError: If files cannot be read, which are named all at once, or there is no
            room.
    """
    form = _Form(image_size, any_size, channels, value_range)
    notes = Notes() if notes is None else notes
    entries = sorted(
        (entry for examples in groups.values() for entry, _ in examples),
        key=lambda entry: entry.parts,
    )
    numbers = {id(entry): number for number, entry in enumerate(entries)}
    numbers = {
        split: np.array([numbers[id(entry)] for entry, _ in examples], np.int64)
        for split, examples in groups.items()
    }
    pictures = cache and cache.gigabytes > 0 and _to_keep(entries, form, cache)
    if not (pictures and store.is_begun(pictures)):
        try:
            return _in_memory(entries, numbers, form, max_gigabytes, notes)
        except _TooLarge as error:
            if not pictures:
                raise InputError(
                    f"{error}, more than max_gigabytes={max_gigabytes}. Use a lower "
                    "`data.image_size`, or `data.channels=1`, or raise the limit, or "
                    "`data.cache_gigabytes` to read them from a file."
                ) from error
            pictures = pictures._replace(num_bytes=error.num_bytes)
    kept = store.keep(pictures, notes)
    return {split: kept.take(of_split) for split, of_split in numbers.items()}


class _TooLarge(Exception):
    """Pictures take more memory than they may."""

    def __init__(self, num_bytes, what, known):
        self.num_bytes = num_bytes if known else None
        super().__init__(f"{what} take {num_bytes / 1e9:.3g} GB")

    @classmethod
    def check(cls, num_bytes, max_gigabytes, what, known):
        if num_bytes > max_gigabytes * 1e9:
            raise cls(num_bytes, what, known)


def _in_memory(entries, numbers, form, max_gigabytes, notes):
    """Decodes pictures into an array of each split, or a list of them."""
    places = [None] * len(entries)
    for split, of_split in numbers.items():
        for index, number in enumerate(of_split):
            places[number] = split, index
    arrays = {split: [None] * len(of_split) for split, of_split in numbers.items()}
    held = count = 0
    decoded, first = _decoded(entries, form, {}, notes), []
    if not form.any_size:
        shape = form.size and (*form.size, form.channels)
        if shape is None:
            first = [next(decoded)]
            shape = first[0][1].shape
        _TooLarge.check(
            len(entries) * math.prod(shape),
            max_gigabytes,
            f"{len(entries)} images of {' x '.join(map(str, shape))}",
            known=True,
        )
        arrays = {
            split: np.empty((len(of_split), *shape), np.uint8)
            for split, of_split in arrays.items()
        }
    for number, picture in itertools.chain(first, decoded):
        split, index = places[number]
        arrays[split][index] = picture
        held, count = held + picture.nbytes, count + 1
        if form.any_size:
            what = f"The first {count} of {len(entries)} images"
            _TooLarge.check(held, max_gigabytes, what, known=False)
    return arrays


def _to_keep(entries, form, cache):
    """The `Pictures` of some files, of a name that all that decides them changes."""
    import PIL

    key = digest(
        repr((inspect.getsource(decode), PIL.__version__, cache.state(), form))
    )
    known = form.size is not None
    return store.Pictures(
        of=cache.of,
        key=key,
        count=len(entries),
        channels=form.channels,
        decode=functools.partial(_decoded, entries, form),
        num_bytes=len(entries) * math.prod(form.size) * form.channels
        if known
        else None,
        gigabytes=cache.gigabytes,
    )


def _decoded(entries, form, done, notes):
    """Yields (number, picture) of the files that are not done, as an archive has them.

    Args:
        entries: List of `File`.
        form: `_Form`.
        done: Dictionary of (height, width) by number.
        notes: `Notes`.

    Raises:
        InputError: At the end, naming those that cannot be read; or at the first of
            another size, where one size is asked for.
    """
    options = {"size": form.size, "channels": form.channels}
    if form.value_range is not None:
        options["value_range"] = form.value_range

    def decode_one(number, content):
        if isinstance(content, InputError):
            return content
        name = entries[number].name
        try:
            return decode.decode_image(content, name, **options)
        except InputError as error:
            return error

    order = [number for number in range(len(entries)) if number not in done]
    order.sort(key=lambda number: entries[number].position)
    failed, first = [], None
    for number, size in itertools.islice(done.items(), 1):
        first = entries[number].name, (*size, form.channels)
    for number, result in _in_threads(decode_one, _read(entries, order)):
        if isinstance(result, InputError):
            failed.append((number, result))
            continue
        first = (entries[number].name, result.shape) if first is None else first
        if not form.any_size and result.shape != first[1]:
            raise InputError(
                f"The images differ in size: '{first[0]}' has {_by(first[1])} "
                f"pixels, '{entries[number].name}' {_by(result.shape)}. "
                "Set `data.image_size` to resize them, or `data.square` to keep them."
            )
        yield number, result
    if failed:
        raise _unreadable(failed, entries)


def _by(shape):
    return f"{shape[0]} x {shape[1]}"


def _unreadable(failed, entries):
    """An error that names all files that cannot be read."""
    if len(failed) == 1:
        return failed[0][1]
    failed = sorted(failed, key=lambda each: each[0])
    names = ", ".join(f"'{entries[number].name}'" for number, _ in failed[:SHOWN])
    more = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
    return InputError(
        f"{len(failed)} of {len(entries)} images cannot be read: {names}{more}. The "
        f"first: {failed[0][1]}"
    )


def _read(entries, order):
    """Yields (number, bytes, or why they cannot be read)."""
    for number in order:
        try:
            content = entries[number].read()
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
    return content.nbytes if isinstance(content, np.ndarray) else len(content)


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
