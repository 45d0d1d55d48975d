"""Drawings of made-up alphabets, in the layout of the archives, to test with."""

import io
import zipfile

import numpy as np
from PIL import Image

ALPHABETS = ("Alpha", "Beta", "Gamma", "Delta", "Epsilon")


def write_omniglot(folder):
    """Writes two archives that share an alphabet, as the small ones do."""
    for name, chosen in (("small1", (0, 1, 2)), ("small2", (2, 3, 4))):
        with zipfile.ZipFile(folder / f"images_background_{name}.zip", "w") as archive:
            for alphabet in chosen:
                for character in range(2):
                    for drawer in range(20):
                        path = (
                            f"images_background_{name}/{ALPHABETS[alphabet]}/"
                            f"character{character + 1:02d}/01_{drawer + 1:02d}.png"
                        )
                        archive.writestr(path, _drawing(alphabet, character, drawer))
    return folder


def _drawing(alphabet, character, drawer):
    """White, with a dark row that tells alphabet and drawer."""
    pixels = np.full((105, 105), 255, np.uint8)
    pixels[20 * alphabet + 5, : drawer + 1] = 0
    pixels[:3, 100 - character] = 0
    file = io.BytesIO()
    Image.fromarray(pixels).convert("1").save(file, "PNG")
    return file.getvalue()
