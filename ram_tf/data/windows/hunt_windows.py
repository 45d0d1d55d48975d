"""Windows of many computed images at once."""

import numpy as np

from ram_tf.data.windows.hunt import BASE, CELLS
from ram_tf.data.windows.places import to_pixels
from ram_tf.data.windows.windows import Windows


class HuntWindows(Windows):
    """`Windows` of `HuntReader`s of one size, which computes all patches together.

    What it returns is what `Windows` would, without a call of Python for each patch.

    Args:
        readers: Sequence of `HuntReader`s of one size.
    """

    def __init__(self, readers):
        super().__init__(readers, max_cache_bytes=0, threads=1)
        self._corners = np.array([reader.corner for reader in readers])
        self._waves = np.array([reader.waves for reader in readers])
        self._phases = np.array([reader.phases for reader in readers])
        self._glyphs = np.array([reader.glyph for reader in readers])
        self._gains = np.array([reader.gains for reader in readers])

    def cut(self, indices, locations, sides, size, reduce=None):
        """Cuts what a retina sees of some images, as `Windows.cut` does."""
        indices = np.asarray(indices)
        locations = np.asarray(locations, np.float32)
        num = locations.shape[1]
        pixels = to_pixels(locations, self.sizes[indices][:, None]).reshape(-1, 2)
        images = np.repeat(indices, num)
        found = []
        for side in map(int, sides):
            level = self.level_for(0, side / size)
            if level == 0:  # What `reduce` is for.
                cut = super().cut(indices, locations, (side,), size, reduce)
                found.append([each[:, :, 0] for each in cut])
                continue
            cut = self._patches(images, pixels - side // 2, side, size, level)
            found.append([each.reshape(-1, num, *each.shape[1:]) for each in cut])
            self.cache.add(windows=len(images))
        glimpses, inside = (np.stack(each, axis=2) for each in zip(*found))
        return glimpses, inside

    # A patch has a place and two sizes.
    def _patches(self, images, starts, side, size, level):
        """Returns patches `(n, size, size, C)` and what of them is inside."""
        length = self.readers[0].levels[level].height
        step = self.readers[0].levels[level].downsample
        firsts = np.floor(starts / step).astype(np.int64)
        edges = (starts[..., None] + np.arange(size + 1) * (side / size)) / step
        edges -= firsts[..., None]
        counts = np.ceil(edges[..., -1] - 1e-9).astype(np.int64)
        ends = np.clip(firsts + counts, 0, length)
        read = (ends - np.clip(firsts, 0, length)).clip(0).prod(axis=1).sum()
        self.cache.add(bytes_read=int(read) * self.channels)
        values = self._values(images, firsts, int(counts.max()), level)
        sums = _sums(_sums(values, edges[:, 0]).swapaxes(1, 2), edges[:, 1])
        widths = edges[..., 1:] - edges[..., :-1]
        areas = widths[:, 0, :, None] * widths[:, 1, None]
        patches = (sums.swapaxes(1, 2) / areas / 255).astype(np.float32)
        limits = firsts[..., None]
        clipped = np.clip(edges, -limits, length - limits)
        shares = ((clipped[..., 1:] - clipped[..., :-1]) / widths).astype(np.float32)
        inside = shares[:, 0, :, None] * shares[:, 1, None]
        patches = np.repeat(patches[..., None], self.channels, axis=-1)
        return patches, inside[..., None]

    def _values(self, images, firsts, count, level):
        """Returns pixels of a level `(n, count, count)`, zeros outside."""
        whole = self.readers[0].levels[level]
        step, halos = whole.downsample, self.readers[0].halos
        target = self.readers[0].target_side
        along, covered, inside = [], [], []
        for axis in (0, 1):
            first = firsts[:, axis, None]
            pixels = first + np.arange(count)
            edges = (first + np.arange(count + 1)) * step
            angles = (edges[:, :-1, None] + step / 2) * self._waves[images, axis, None]
            angles += self._phases[images, axis, None]
            corner = self._corners[images, axis, None]
            sums = np.tanh((edges - corner - target / 2)[..., None] / halos)
            parts = [np.cos(angles), np.sin(angles), sums[:, 1:] - sums[:, :-1]]
            along.append(np.concatenate(parts, axis=2))
            cells = (edges - corner)[..., None] * (CELLS / target) - np.arange(CELLS)
            cells = np.clip(cells, 0, 1)
            covered.append((cells[:, 1:] - cells[:, :-1]) * (target / CELLS / step))
            inside.append((pixels >= 0) & (pixels < whole.height))
        values = along[0] * self._gains[images, level, None] @ along[1].swapaxes(1, 2)
        values += covered[0] @ self._glyphs[images] @ covered[1].swapaxes(1, 2)
        values = np.rint(values + BASE)
        return values * (inside[0][:, :, None] & inside[1][:, None])


def _sums(values, edges):
    """Sums `(n, count, m)` along axis 1 between edges `(n, size + 1)`."""
    count = values.shape[1]
    edges = np.clip(edges, 0, count)
    whole = np.minimum(edges.astype(np.int64), count - 1)
    before = np.zeros((len(values), count + 1, values.shape[2]))
    np.cumsum(values, axis=1, out=before[:, 1:])
    rows = np.arange(len(values))[:, None]
    parts = (edges - whole)[..., None] * values[rows, whole]
    at = before[rows, whole] + parts
    return at[:, 1:] - at[:, :-1]
