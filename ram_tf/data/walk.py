"""The one walker: what lies in a folder or an archive, and what of it are pictures."""

import contextlib
import dataclasses
import json
import os
import pathlib
from typing import Any, NamedTuple

from ram_tf.data.archive import BROKEN, open_archive
from ram_tf.data.recognition import ending_of, recognise
from ram_tf.errors import InputError

# What systems and their tools leave in folders: nobody misses it.
_LITTER = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
_LOCK = ".lock"
# Files that a comparison of several runs leaves around them.
_OF_STUDIES = ("comparison.csv", "cross_validation.json", "trials.csv")
# Keys of the config of a run.
_OF_A_CONFIG = {"family", "data", "train"}
_SHOWN = 3
_ONE_OF = {
    "folders of runs": "folder of runs",
    "no files": "no file",
    "pictures beside the class folders": "picture beside the class folders",
}


class Found(NamedTuple):
    """A picture file to be looked at.

    Attributes:
        path: String, where it lies.
        name: String, its path relative to the folder that was given, with slashes,
            whatever way the folder was spelled; its own name if it was given itself.
    """

    path: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """One file in a folder or an archive.

    Args:
        parts: Tuple of strings, its path below the folder or in the archive.
        source: What reads it, the same for all files of a folder or an archive.
        member: What the source knows it by.
        position: Integer, its place: reading a compressed archive in this order is
            fastest.
    """

    parts: tuple[str, ...]
    source: Any
    member: Any
    position: int

    @property
    def name(self):
        return "/".join(self.parts)

    def read(self):
        """Returns the bytes, or raises an `InputError` that names the file."""
        try:
            with self.source.open(self) as opened:
                return opened.read()
        except BROKEN as error:
            raise InputError(f"'{self.name}' cannot be read: {error}.") from error

    def open(self):
        """Opens the file to read some of its bytes, or raises an `OSError`."""
        try:
            return self.source.open(self)
        except BROKEN as error:
            raise OSError(str(error)) from error

    def size(self):
        """Returns how many bytes it has, 0 of a link that leads nowhere."""
        return self.source.size(self)


class LeftOut:
    """Counts files that are passed over and says so in one line."""

    def __init__(self):
        self._kinds = {}

    def add(self, kind, name, reason=""):
        """Counts a file.

        Args:
            kind: String, ".txt" or "pictures beside the class folders".
            name: String, the file; the first few of what is no ending are named.
            reason: String, why, where the kind does not say.
        """
        names, count = self._kinds.get((kind, reason), ([], 0))
        if len(names) < _SHOWN:
            names.append(name)
        self._kinds[kind, reason] = names, count + 1

    def lines(self):
        """Returns a list of one line, or of none."""
        if not self._kinds:
            return []
        kinds = sorted(self._kinds.items(), key=lambda item: (-item[1][1], item[0]))
        return [f"left out: {', '.join(map(_describe_kind, kinds))}"]


def _describe_kind(item):
    (kind, reason), (names, count) = item
    if not kind.startswith("."):
        shown = ", ".join(map(printable, names)) + (", ..." * (count > len(names)))
        reason = f"{shown}: {reason}" if reason else shown
    if count == 1:
        kind = _ONE_OF.get(kind, kind)
    return f"{count} {kind}" + (f" ({reason})" if reason else "")


def printable(name):
    """Returns a file's name as any terminal can print it."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@dataclasses.dataclass
class Listing:
    """What lies in a folder or an archive, without what is passed over anywhere.

    Hidden files and folders, what systems leave in folders, and workdirs are passed
    over.

    Args:
        files: List of `File`, sorted by their parts.
        folders: Set of tuples of parts.
        left_out: `LeftOut`, of what was passed over.
        notes: List of further lines to say.
    """

    files: list
    folders: set
    left_out: LeftOut
    notes: list

    def pictures(self, why_not=recognise):
        """Returns the files that are pictures; the others are counted as left out.

        Args:
            why_not: Function like `recognise`: of a file's name and of what opens it,
                `None` of a picture, else a reason.
        """
        found = []
        # In the order in which an archive is read fastest.
        for file in sorted(self.files, key=lambda file: file.position):
            reason = why_not(file.parts[-1], file.open)
            if reason is None:
                found.append(file)
            else:
                ending = ending_of(file.parts[-1])
                self.left_out.add(ending or "without an ending", file.name, reason)
        return sorted(found, key=lambda file: file.parts)


def walk(path, stack):
    """Lists what lies in a folder or an archive.

    Links to folders are followed, but not back to a folder above them.

    Args:
        path: `pathlib.Path` of a folder, or of a .tar, .tar.gz, .tar.xz or .zip.
        stack: `contextlib.ExitStack` that closes the archive; read before that.

    Returns:
        A `Listing`.
    """
    left_out, notes = LeftOut(), []
    if path.is_dir():
        files, folders = _list_folder(path, left_out)
    else:
        source, members, folders, notes = open_archive(path, stack)
        files = [
            File(parts, source, member, position)
            for position, (parts, member) in enumerate(members)
        ]
        files, folders = _without_hidden(files, folders, left_out)
    folders |= {
        file.parts[:depth] for file in files for depth in range(1, len(file.parts))
    }
    files, folders = _without_workdirs(files, folders, left_out)
    return Listing(sorted(files, key=lambda f: f.parts), folders, left_out, notes)


def find_images(paths, report=None, why_not=recognise):
    """Finds the pictures among paths and in the folders among them.

    A file that is named is taken for a picture, whatever it is.

    Args:
        paths: Image files, and folders of them.
        report: Function of one line of text, told what is left out; `None` for none.
        why_not: As for `Listing.pictures`.

    Returns:
        A list of `Found`, those of a folder in the order of their names.
    """
    if not paths:
        raise InputError("no image given: name image files or folders of them.")
    found = []
    for path in map(str, paths):
        if os.path.isdir(path):
            found.extend(_find_below(path, report, why_not))
        elif os.path.exists(path):
            found.append(Found(path, os.path.basename(path)))
        else:
            raise InputError(f"no image file {path}.")
    return found


def _find_below(path, report, why_not):
    with contextlib.ExitStack() as stack:
        listing = walk(pathlib.Path(path), stack)
    pictures = listing.pictures(why_not)
    lines = [*listing.left_out.lines(), *listing.notes]
    if not pictures:
        what = "; ".join(lines) or "it is empty"
        raise InputError(f"no image in {path}: {what}.")
    for line in lines if report else ():
        report(f"{printable(path)}: {line}")
    return [Found(os.path.join(path, *file.parts), file.name) for file in pictures]


class _Folder:
    """Reads the files of a folder."""

    def __init__(self, root):
        self.root = root

    def open(self, file):
        return open(self._path(file), "rb")

    def size(self, file):
        try:
            return os.path.getsize(self._path(file))
        except OSError:
            return 0

    def _path(self, file):
        return os.path.join(self.root, *file.parts)


def _list_folder(root, left_out):
    source, files, folders = _Folder(root), [], set()
    left = [((), ())]
    while left:
        parts, above = left.pop()
        folder = os.path.join(root, *parts)
        try:
            state = os.stat(folder)
            with os.scandir(folder) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            raise InputError(
                f"the folder '{folder}' cannot be read: {error.strerror}. Make it "
                "readable, or leave it out."
            ) from error
        this = state.st_dev, state.st_ino
        if this in above:  # By a link back to a folder above.
            continue
        if parts:
            folders.add(parts)
        for entry in entries:
            name = entry.name
            below = (*parts, name)
            if _is_hidden(name):
                _note_hidden(below, left_out)
            elif entry.is_dir():
                left.append((below, (*above, this)))
            elif entry.is_file() or entry.is_symlink():
                files.append(File(below, source, None, len(files)))
            else:  # To open a pipe would wait for ever.
                left_out.add("no files", "/".join(below))
    return files, folders


def _is_hidden(name):
    return (name.startswith(".") and name != _LOCK) or name in _LITTER


def _note_hidden(parts, left_out):
    name = parts[-1]
    if name not in _LITTER and not name.startswith("._"):
        left_out.add("hidden", "/".join(parts))


def _without_hidden(files, folders, left_out):
    """What an archive lists, without what is hidden or lies in what is hidden."""
    hidden, seen = set(), []
    for file in files:
        for depth, part in enumerate(file.parts, start=1):
            if _is_hidden(part):
                hidden.add(file.parts[:depth])
                break
        else:
            seen.append(file)
    for parts in sorted(hidden):
        _note_hidden(parts, left_out)
    return seen, {parts for parts in folders if not any(map(_is_hidden, parts))}


def _without_workdirs(files, folders, left_out):
    """Leaves out the folders of runs, which hold pictures of what they looked at."""
    workdirs = {
        file.parts[:-1]
        for file in files
        if len(file.parts) > 1 and _tells_of_a_run(file, folders)
    }
    workdirs |= _only_locked(files)
    studies = {
        file.parts[:-1]
        for file in files
        if len(file.parts) > 1 and file.parts[-1] in _OF_STUDIES
    }
    around = {parts[:depth] for parts in workdirs for depth in range(1, len(parts))}
    passed = workdirs | (studies & around)
    if passed:
        files = [file for file in files if not _lies_in(file.parts[:-1], passed)]
        folders = {parts for parts in folders if not _lies_in(parts, passed)}
        folders -= around
        outer = [parts for parts in passed if not _lies_in(parts[:-1], passed)]
        for parts in sorted(outer):
            left_out.add("folders of runs", "/".join(parts))
    return [file for file in files if file.parts[-1] != _LOCK], folders


def _tells_of_a_run(file, folders):
    if file.parts[-1] != "config.json":
        return False
    if (*file.parts[:-1], "checkpoints") in folders:
        return True
    try:  # Of a run that has saved nothing so far.
        return set(json.loads(file.read())) >= _OF_A_CONFIG
    except (InputError, ValueError, TypeError):
        return False


def _only_locked(files):
    """Folders in which a run is about to begin: with a lock, and nothing else."""
    locks = {file.parts[:-1] for file in files if file.parts[-1] == _LOCK}
    others = {
        file.parts[:depth]
        for file in files
        if locks and file.parts[-1] != _LOCK
        for depth in range(len(file.parts))
    }
    return locks - others - {()}


def _lies_in(parts, folders):
    return any(parts[:depth] in folders for depth in range(1, len(parts) + 1))
