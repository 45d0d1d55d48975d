"""The files of a folder or an archive, listed and read without extracting anything."""

import dataclasses
import functools
import lzma
import os
import pathlib
import tarfile
import zipfile
import zlib
from collections.abc import Callable

from ram_tf.errors import InputError

BROKEN_ARCHIVE = (
    *(OSError, EOFError, KeyError, ValueError, zlib.error, lzma.LZMAError),
    *(tarfile.TarError, zipfile.BadZipFile),
    RuntimeError,  # a zip file with a password, or an unknown compression
)


@dataclasses.dataclass(frozen=True)
class File:
    """One file in a folder or an archive.

    Args:
        parts: Tuple of strings, its path below the folder or in the archive.
        content: Function that returns its bytes.
        position: Integer, its place: reading a compressed archive in this order is
            fastest.
        size: Function that returns how many bytes it has.
    """

    parts: tuple[str, ...]
    content: Callable[[], bytes]
    position: int
    size: Callable[[], int]

    @property
    def name(self):
        return "/".join(self.parts)

    def read(self):
        """Returns the bytes, or raises an `InputError` that names the file."""
        try:
            return self.content()
        except BROKEN_ARCHIVE as error:
            raise InputError(f"'{self.name}' cannot be read: {error}.") from error


def list_files(path, stack):
    """Lists what lies in a folder or an archive.

    Hidden files and folders are passed over.

    Args:
        path: `pathlib.Path` of a folder, or of a .tar, .tar.gz, .tar.xz or .zip.
        stack: `contextlib.ExitStack` that closes the archive; read before that.

    Returns:
        The files as a list of `File`, sorted by their parts, and all folders as a set
        of tuples of parts.
    """
    if path.is_dir():
        files, folders = _list_directory(path)
    else:
        try:
            if tarfile.is_tarfile(path):
                archive = stack.enter_context(tarfile.TarFile.open(path))
                files, folders = _list_tar(archive)
            elif zipfile.is_zipfile(path):
                archive = stack.enter_context(zipfile.ZipFile(path))
                files, folders = _list_zip(archive)
            else:
                raise InputError(
                    f"'{path}' is neither a folder nor a complete .tar, .tar.gz or "
                    ".zip archive. Give one of these."
                )
        except BROKEN_ARCHIVE as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"The archive '{path}' is damaged: {error}.") from error
    folders |= {
        file.parts[:depth] for file in files for depth in range(1, len(file.parts))
    }
    return (
        sorted((file for file in files if _visible(file.parts)), key=lambda f: f.parts),
        {parts for parts in folders if _visible(parts)},
    )


def _visible(parts):
    return not any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _list_directory(root):
    files, folders, seen = [], set(), set()
    for folder, names, filenames in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link back to a folder above
            names.clear()
            continue
        seen.add(real)
        parts = pathlib.Path(folder).relative_to(root).parts
        folders |= {(*parts, name) for name in names}
        for name in filenames:
            path = pathlib.Path(folder, name)
            size = functools.partial(os.path.getsize, path)
            files.append(File((*parts, name), path.read_bytes, len(files), size))
    return files, folders


def _list_tar(archive):
    files, folders = [], set()
    for member in archive.getmembers():
        parts = _parts(member.name)
        if member.isdir():
            folders.add(parts)
        elif member.isfile() or member.islnk():

            def read(member=member):
                return archive.extractfile(member).read()

            size = functools.partial(getattr, member, "size")
            files.append(File(parts, read, len(files), size))
    return files, folders - {()}


def _list_zip(archive):
    files, folders = [], set()
    for info in archive.infolist():
        parts = _parts(info.filename)
        if info.is_dir():
            folders.add(parts)
        else:

            def read(info=info):
                return archive.read(info)

            size = functools.partial(getattr, info, "file_size")
            files.append(File(parts, read, len(files), size))
    return files, folders - {()}


def _parts(name):
    # Parts are names to sort by, never paths to write to, so ".." does no harm.
    return tuple(part for part in name.split("/") if part not in ("", ".", ".."))
