"""The members of tar and zip archives, as people make them, read without extracting."""

import bisect
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from typing import Any, NamedTuple

from ram_tf.errors import InputError

BROKEN = (
    *(OSError, EOFError, KeyError, ValueError, zlib.error, lzma.LZMAError),
    *(tarfile.TarError, zipfile.BadZipFile),
    RuntimeError,  # an unknown compression, or links that lead to each other
)
# A link may lead to a folder with a link in it, and so on.
_LINKS_DEEP = 8
_UTF8, _ENCRYPTED = 0x800, 0x1
_UNICODE_PATH = 0x7075


class Members(NamedTuple):
    """What an archive holds.

    Attributes:
        source: What reads a member: `source.open(file)` and `source.size(file)`.
        files: List of (parts of its name, what the source knows it by).
        folders: Set of tuples of parts.
        notes: List of lines: what is there twice, or has a name that was guessed.
    """

    source: Any
    files: list
    folders: set
    notes: list


def open_archive(path, stack):
    """Opens an archive and lists its members.

    Args:
        path: `pathlib.Path` of a .tar, .tar.gz, .tar.xz or .zip.
        stack: `contextlib.ExitStack` that closes it; read before that.

    Returns:
        `Members`, in the order of the archive.
    """
    try:
        if tarfile.is_tarfile(path):
            archive = tarfile.TarFile.open(
                path, encoding="utf-8", errors="surrogateescape"
            )
            return _list_tar(stack.enter_context(archive), path)
        if zipfile.is_zipfile(path):
            return _list_zip(stack.enter_context(zipfile.ZipFile(path)), path)
    except InputError:
        raise
    except BROKEN as error:
        raise InputError(f"The archive '{path}' is damaged: {error}.") from error
    raise InputError(
        f"'{path}' is neither a folder nor a complete .tar, .tar.gz or .zip archive. "
        "Give one of these."
    )


class _Tar:
    def __init__(self, archive):
        self.archive = archive

    def open(self, file):
        opened = self.archive.extractfile(file.member)
        if opened is None:
            raise OSError("it is a link to no file")
        return opened

    def size(self, file):
        return file.member.size


class _Zip:
    def __init__(self, archive):
        self.archive = archive

    def open(self, file):
        return self.archive.open(file.member)

    def size(self, file):
        return file.member.file_size


def _list_tar(archive, path):
    members = archive.getmembers()
    names = [member.name for member in members]
    # A name may hold a backslash; where none has a slash, it is what parts them.
    windows = any("\\" in name for name in names) and not any("/" in n for n in names)
    files, folders, links = {}, set(), {}
    twice = []
    for member, name in zip(members, names):
        parts = _parts(name.replace("\\", "/") if windows else name)
        if member.isdir():
            folders.add(parts)
        elif member.isfile() or member.islnk() or member.issym():
            if files.pop(parts, None) is not None:
                twice.append(parts)
            files[parts] = member
            links.pop(parts, None)
            if member.issym():
                links[parts] = _target(parts, member.linkname)
    folders |= {parts[:depth] for parts in files for depth in range(1, len(parts))}
    _follow(links, files, folders)
    notes = _note_twice(path, twice)
    return Members(_Tar(archive), list(files.items()), folders - {()}, notes)


def _target(parts, name):
    """Where a link leads inside the archive, `None` if out of it."""
    if name.startswith("/"):
        return None
    target = list(parts[:-1])
    for part in name.split("/"):
        if part == ".." and not target:
            return None
        if part == "..":
            target.pop()
        elif part not in ("", "."):
            target.append(part)
    return tuple(target)


def _follow(links, files, folders):
    """Puts the files of folders that links lead to below the links, too."""
    links = {
        parts: target
        for parts, target in links.items()
        # A link to a folder around itself has no end.
        if target is not None and parts[: len(target)] != target
    }
    for _ in range(_LINKS_DEEP):
        known = sorted(files)
        found = {}
        for parts, target in links.items():
            if target not in folders:
                continue
            files.pop(parts, None)
            folders.add(parts)
            for inside in known[bisect.bisect_left(known, target) :]:
                if inside[: len(target)] != target:
                    break
                below = (*parts, *inside[len(target) :])
                # What comes through a link that leads back here has no end, either.
                if len(inside) > len(target) and inside[: len(parts)] != parts:
                    found[below] = files[inside]
        new = {parts: member for parts, member in found.items() if parts not in files}
        if not new:
            return
        files.update(new)
        folders |= {parts[:depth] for parts in new for depth in range(1, len(parts))}


def _list_zip(archive, path):
    files, folders, links, twice, guessed = {}, set(), {}, [], []
    for info in archive.infolist():
        name, known = _zip_name(info)
        parts = _parts(name)
        if name.endswith("/"):
            folders.add(parts)
            continue
        if info.flag_bits & _ENCRYPTED:
            raise InputError(
                f"'{name}' in the archive '{path}' has a password. Unpack the archive, "
                "and give the folder."
            )
        if not known:
            guessed.append(name)
        if files.pop(parts, None) is not None:
            twice.append(parts)
        files[parts] = info
        links.pop(parts, None)
        if stat.S_ISLNK(info.external_attr >> 16):
            target = archive.read(info).decode("utf-8", "surrogateescape")
            links[parts] = _target(parts, target)
    for parts in links:
        target = parts
        for _ in range(_LINKS_DEEP):
            target = links.get(target, target)
        files[parts] = files.get(target, files[parts])
    folders |= {parts[:depth] for parts in files for depth in range(1, len(parts))}
    _follow(links, files, folders)
    notes = _note_twice(path, twice)
    if guessed:
        notes.append(
            f"{path.name} does not say the encoding of {len(guessed)} names, which "
            f"were read as code page 437, as '{guessed[0]}': unpack it where it was "
            "made if class names look wrong"
        )
    return Members(_Zip(archive), list(files.items()), folders - {()}, notes)


def _zip_name(info):
    """The name of a zip file's member with slashes, and whether it is sure."""
    # Archives of Windows' own tools have backslashes, which the format forbids.
    name, known = info.orig_filename.replace("\\", "/"), True
    if not info.flag_bits & _UTF8 and not name.isascii():
        # Read as code page 437; many tools write UTF-8 and do not say so.
        try:
            name = (_unicode_name(info) or name.encode("cp437")).decode()
        except UnicodeError:
            known = False
    return name.partition("\0")[0], known


def _unicode_name(info):
    """The name in UTF-8 that some tools put beside the other, or `None`."""
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        # A version and a checksum of the other name stand before it.
        if kind == _UNICODE_PATH and length > 5:
            return extra[9 : 4 + length].replace(b"\\", b"/")
        extra = extra[4 + length :]
    return None


def _note_twice(path, twice):
    if not twice:
        return []
    name = "/".join(twice[0])
    return [
        f"{path.name} holds several members of one name, {len(twice)} too many, as "
        f"'{name}': the last one counts"
    ]


def _parts(name):
    # Parts are names to sort by, never paths to write to, so ".." does no harm.
    return tuple(part for part in name.split("/") if part not in ("", ".", ".."))
