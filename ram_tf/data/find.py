"""The image files among paths and in the folders among them."""

import os

from ram_tf.errors import InputError

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def find_images(paths):
    """Returns the paths of image files among paths and in the folders among them."""
    if not paths:
        raise InputError("no image given: name image files or folders of them.")
    files = []
    for path in map(str, paths):
        if os.path.isdir(path):
            before = len(files)
            files.extend(_images_below(path))
            if len(files) == before:
                raise InputError(
                    f"no image in {path}: expected files ending in "
                    f"{', '.join(EXTENSIONS)}."
                )
        elif os.path.exists(path):
            files.append(path)
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
