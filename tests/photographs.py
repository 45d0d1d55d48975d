"""Photographs of several sizes, modes and orientations, to test with."""

import numpy as np
from PIL import Image

CLASSES = ("ant", "bee", "cat")


def write_photographs(root, num_each=6):
    """Writes `root/<class>/<number>.jpg`, a brightness for each class."""
    draw = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        for i in range(num_each):
            size = (70 + 9 * i, 64 + 5 * label, 3)
            values = draw.integers(0, 120, size) + 60 * label
            image = Image.fromarray(values.astype(np.uint8))
            exif = Image.Exif()
            if i == 1:
                image = image.convert("L")
            elif i == 2:
                image = image.convert("CMYK")
            elif i == 3:
                exif[0x0112] = 6  # Turned by a quarter.
            path = root / name / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path, exif=exif)
    return root
