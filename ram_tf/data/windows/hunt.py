"""Huge images that no file holds: pixels are computed where somebody looks."""

import numpy as np

from ram_tf.data.windows.reader import make_levels, no_cache
from ram_tf.errors import InputError

CLASS_NAMES = ("plus", "cross", "tee", "ell")
# Equally many bright cells, so that from afar all are one and the same spot.
_GLYPHS = np.array(
    [
        [list(row) for row in glyph.split()]
        for glyph in (
            "00100 00100 11111 00100 00100",
            "10001 01010 00100 01010 10001",
            "11111 00100 00100 00100 00100",
            "10000 10000 10000 10000 11111",
        )
    ]
).astype(np.float64)
_SMALLEST_LEVEL = 32
_NUM_WAVES = 16
CELLS = 5  # Of a glyph, along a side.
# Brightness in units of a byte: all of it together stays within 0 and 255.
BASE, _TEXTURE, _HALO, _GLYPH = 64.0, 32.0, 64.0, 90.0


class HuntReader:
    """An image with a texture, one small glyph, and halos that lead to it.

    A halo around the glyph is as wide as a part of the image; in its middle is another,
    a quarter as wide, and so on. The wide ones are seen at coarse levels alone, from
    where the glyph is a spot of less than a pixel; its class is seen at fine ones.

    Everything is a sum of products of something along y and something along x, whose
    averages are known: a pixel of any level is the average of those below, up to
    rounding, and a window costs what its pixels cost, wherever it lies.

    Args:
        side: Integer, height and width of the image in pixels.
        label: Integer, which of `CLASS_NAMES`.
        target_side: Integer, height and width of the glyph in pixels.
        channels: Integer; all channels are alike.
        seed: Integer or sequence of integers: of the place and the texture.
    """

    def __init__(self, side, label, target_side=48, channels=1, seed=0):
        if not 5 <= target_side <= side // 16:
            raise InputError(
                "A target has 5 pixels or more, and a side is 16 times that at least. "
                f"Received: target_side={target_side}, side={side}."
            )
        if not 0 <= label < len(CLASS_NAMES):
            raise InputError(
                f"A label is a number from 0 to {len(CLASS_NAMES) - 1}. Received: "
                f"{label}."
            )
        rng = np.random.default_rng(seed)
        sizes = [(side, side)]
        while sizes[-1][0] // 2 >= _SMALLEST_LEVEL:
            sizes.append((sizes[-1][0] // 2,) * 2)
        self.path = f"image of seed {seed}"
        self.levels = make_levels(sizes)
        self.channels = channels
        self.micrometres = None
        self.notes = ()
        self.target_side = target_side
        self.corner = rng.integers(target_side, side - 2 * target_side, 2)
        widths = [side / 8]
        while widths[-1] / 4 > target_side:
            widths.append(widths[-1] / 4)
        self.halos = np.array(widths) / 2
        angles = rng.uniform(0, 2 * np.pi, _NUM_WAVES)
        lengths = np.geomspace(6, side / 2, _NUM_WAVES)
        self.waves = np.stack([np.sin(angles), np.cos(angles)]) * (2 * np.pi / lengths)
        phases = rng.uniform(0, 2 * np.pi, _NUM_WAVES)
        self.phases = np.stack([phases, np.zeros(_NUM_WAVES)])
        self.glyph = _GLYPH * _GLYPHS[label]
        self.gains = [self._gain(level.downsample) for level in self.levels]

    @property
    def location(self):
        """The middle of the target, (x, y) in [-1, 1]."""
        middle = self.corner + self.target_side / 2
        return tuple(float(2 * m / self.levels[0].height - 1) for m in middle[::-1])

    # A window has four numbers.
    def read(self, level, top, left, height, width, cache=None):
        """Computes a window, as `Reader` says."""
        whole = self.levels[level]
        rows = np.arange(max(top, 0), min(top + height, whole.height))
        columns = np.arange(max(left, 0), min(left + width, whole.width))
        pixels = np.zeros((height, width, self.channels), np.uint8)
        if len(rows) and len(columns):
            step = whole.downsample
            along_y = self._factors(0, rows, step) * self.gains[level]
            part = BASE + along_y @ self._factors(1, columns, step).T
            self._add_glyph(part, rows, columns, step)
            y, x = rows[0] - top, columns[0] - left
            pixels[y : y + len(rows), x : x + len(columns)] = np.rint(part)[..., None]
        no_cache(cache).add(bytes_read=len(rows) * len(columns) * self.channels)
        return pixels

    def close(self):
        """Does nothing: nothing is open."""

    def _gain(self, step):
        """How much each product counts at a level, `(terms,)`.

        cos(a + b) = cos(a) cos(b) - sin(a) sin(b), and the average of a wave is a
        lower one; the integral of 1 / cosh^2 is tanh.
        """
        lower = np.sinc(self.waves * step / (2 * np.pi)).prod(axis=0)
        texture = _TEXTURE / _NUM_WAVES * lower
        halos = _HALO / len(self.halos) * (self.halos / step) ** 2
        return np.concatenate([texture, -texture, halos])

    def _factors(self, axis, pixels, step):
        """What the products are made of along one axis.

        Args:
            axis: 0 for y, 1 for x.
            pixels: Integers `(n,)`, rows or columns of a level.
            step: Float, pixels of level 0 to one of these.

        Returns:
            Float array `(n, terms)`.
        """
        edges = np.arange(pixels[0], pixels[-1] + 2) * step
        angles = np.multiply.outer(edges[:-1] + step / 2, self.waves[axis])
        angles += self.phases[axis]
        middle = self.corner[axis] + self.target_side / 2
        sums = np.tanh(np.multiply.outer(edges - middle, 1 / self.halos))
        parts = [np.cos(angles), np.sin(angles), sums[1:] - sums[:-1]]
        return np.concatenate(parts, axis=1)

    def _add_glyph(self, part, rows, columns, step):
        """Adds the bright cells to the pixels that they cover, by the part covered."""
        covered = []
        for axis, pixels in ((0, rows), (1, columns)):
            first, last = self.corner[axis], self.corner[axis] + self.target_side
            if pixels[0] * step >= last or (pixels[-1] + 1) * step <= first:
                return
            edges = np.arange(pixels[0], pixels[-1] + 2) * step
            cells = np.multiply.outer(edges - first, 5 / self.target_side * np.ones(5))
            cells = np.clip(cells - np.arange(5), 0, 1)
            covered.append((cells[1:] - cells[:-1]) * (self.target_side / 5 / step))
        part += covered[0] @ self.glyph @ covered[1].T
