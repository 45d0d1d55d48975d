"""Which reader a file needs: by what it holds, whatever its name ends in."""

import os

from ram_tf.data.windows.npy import MAGIC, NpyReader
from ram_tf.data.windows.reader import UnreadableImage
from ram_tf.data.windows.tiff import MAGICS, TiffReader

# Another format is one file and one line.
READERS = {MAGIC: NpyReader, **dict.fromkeys(MAGICS, TiffReader)}

# Files of these endings are such images, or else broken ones, which are named; of any
# other ending the first bytes decide.
ENDINGS = (".npy", ".svs", ".tif", ".tiff")


def is_large(start):
    """Returns whether a file that begins with these bytes can be read in windows."""
    return any(start.startswith(magic) for magic in READERS)


def open_reader(path, **options):
    """Opens an image that is read where somebody looks.

    Args:
        path: Path of the file.
        **options: What its reader takes.

    Returns:
        A `Reader`.

    Raises:
        UnreadableImage: If it is damaged, or of no format that is read in windows.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(8)
    except OSError as error:
        raise UnreadableImage(
            f"'{os.fspath(path)}' cannot be read: {error.strerror}.", os.fspath(path)
        ) from error
    for magic, reader in READERS.items():
        if start.startswith(magic):
            return reader(path, **options)
    raise UnreadableImage(
        f"'{os.fspath(path)}' cannot be read in windows: expected a .npy array or a "
        "TIFF (tiled, best with levels). Convert it, or read it whole with "
        "`data.name=folder`.",
        os.fspath(path),
    )
