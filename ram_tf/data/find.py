"""The image files among paths and in the folders among them."""

import os
from typing import NamedTuple

from ram_tf.errors import InputError

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class Found(NamedTuple):
    """A picture file to be looked at.

    Attributes:
        path: String, where it lies.
        name: String, its path relative to the folder that was given, with slashes,
            whatever way the folder was spelled; its own name if it was given itself.
    """

    path: str
    name: str


def find_images(paths, report=None):
    """Returns the image files among paths and in the folders among them, as `Found`."""
    if not paths:
        raise InputError("no image given: name image files or folders of them.")
    files = []
    for path in map(str, paths):
        if os.path.isdir(path):
            before = len(files)
            files.extend(
                Found(each, os.path.relpath(each, path).replace(os.sep, "/"))
                for each in _images_below(path)
            )
            if len(files) == before:
                raise InputError(
                    f"no image in {path}: expected files ending in "
                    f"{', '.join(EXTENSIONS)}."
                )
        elif os.path.exists(path):
            files.append(Found(path, os.path.basename(path)))
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
