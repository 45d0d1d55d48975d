"""What is written for who builds a sensor is enough to build it."""

import numpy as np
import pytest

from ram_tf import layers, models
from tests.comparisons import assert_close
from tests.contracts import small_dram, small_fine_grained, small_pham, small_zoom

RNG = np.random.default_rng(0)


def ram(**options):
    return models.RAM(4, retina=layers.Retina(4, **options))


NETWORKS = {
    "one scale": lambda: ram(),
    "odd sides": lambda: ram(sides=(3, 5, 9, 12)),
    "other units, and white outside": lambda: ram(
        num_scales=2, pixel_mean=1.0, pixel_stddev=0.3
    ),
    "bilinear": lambda: ram(num_scales=2, scale_factor=2.5, reduction="bilinear"),
    "bicubic": lambda: ram(num_scales=3, reduction="bicubic"),
    "active": lambda: models.ActiveRAM(4, retina=layers.Retina(4, 2)),
    "pham": small_pham,
    "dram": small_dram,
    "zoom": lambda: small_dram(**small_zoom()),
    "zoom, and white outside": lambda: ram(
        num_scales=2, pixel_mean=1.0, pixel_stddev=0.3, zoom=(0.3, 5.0)
    ),
    "fine_grained": lambda: small_fine_grained(start_size=1),
}


def keys(d):
    near = 1.5 * d**3 - 2.5 * d**2 + 1
    return np.where(d < 1, near, (-0.5 * d**3 + 2.5 * d**2 - 4 * d + 2) * (d < 2))


def means(length, size):
    """The share of each pixel of an axis in each of `size` values, which are means."""
    i, j = np.arange(size)[:, None], np.arange(length)
    first, last = i * length / size, (i + 1) * length / size
    weights = np.clip(np.minimum(last, j + 1) - np.maximum(first, j), 0, None)
    return weights / weights.sum(axis=1, keepdims=True)


def brought_to(patch, size, how):
    """A square patch at `size` x `size`, by the sentence that names the way."""
    s = len(patch)
    (sentence,) = [line for line in how if line.startswith("Each patch")]
    i, j = np.arange(size)[:, None], np.arange(s)
    distance = np.abs((i + 0.5) * s / size - (j + 0.5)) / max(s / size, 1)
    if "max(0, 1 - d)" in sentence:
        weights = np.maximum(0, 1 - distance)
    elif "k(d)" in sentence:
        weights = keys(distance)
    else:
        assert "mean of the patch from i * s / size to (i + 1) * s / size" in sentence
        weights = means(s, size)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("ih,jw,hwc->ijc", weights, weights, patch)


def sense_through(told, image, location):
    """The glimpse at a location `(x, y, z)` of a sensor that zooms."""
    assert "(l + 1) / 2 * n" in told["how"][1]
    (a, b), size = told["zoom"], told["size"]
    f = a * (b / a) ** ((location[2] + 1) / 2)
    i, windows = np.arange(size), []
    for s in told["sides"]:
        shares = []
        for n, place in zip(image.shape[:2], location[1::-1]):
            first = (place + 1) / 2 * n - f * s / 2 + i[:, None] * f * s / size
            last, j = first + f * s / size, np.arange(n)
            part = np.clip(np.minimum(last, j + 1) - np.maximum(first, j), 0, None)
            shares.append(part * size / (f * s))
        seen = np.einsum("ih,jw,hwc->ijc", *shares, image)
        inside = np.outer(*(share.sum(axis=1) for share in shares))[..., None]
        windows.append(seen + (1 - inside) * told["outside"])
    return np.stack(windows)


def sense(told, image, location):
    """The glimpse at a location `(x, y)`, from the words and numbers alone."""
    sizes = image.shape[:2]
    if "zoom" in told:
        return sense_through(told, image, location)
    y_and_x = location[::-1].astype("float32")
    patches = []
    for s in told["sides"]:
        if "outside" in told:
            places = [np.floor((y_and_x[k] + 1) / 2 * sizes[k]) for k in (0, 1)]
            first = [int(p) - s // 2 for p in places]
        else:
            rooms = [n - s + 1 for n in sizes]
            places = [np.floor((y_and_x[k] + 1) / 2 * rooms[k]) for k in (0, 1)]
            first = [min(int(p), n - s) for p, n in zip(places, sizes)]
        patch = np.full((s, s, image.shape[-1]), told.get("outside"), "float64")
        for row in range(s):
            for column in range(s):
                y, x = first[0] + row, first[1] + column
                if 0 <= y < sizes[0] and 0 <= x < sizes[1]:
                    patch[row, column] = image[y, x]
        if "outside" in told:
            patch = brought_to(patch, told["size"], told["how"])
        patches.append(patch)
    return np.stack(patches)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_sensor_is_built_from_words_and_numbers_alone(name):
    network = NETWORKS[name]()
    shape = (12, 12, 3) if name == "fine_grained" else (14, 18, 1)
    network.build((None, *shape))
    told = network.describe_sensor()
    images = RNG.random((9, *shape), "float32")
    locations = RNG.uniform(-1, 1, (9, network.num_coordinates)).astype("float32")
    locations[:4, :2] = [(-1, -1), (1, 1), (0, 0), (1, -0.5)]
    glimpses = network.sense({"images": images}, locations[:, None])
    ours = np.asarray(network.denormalize(glimpses))[:, 0]
    for image, location, expected in zip(images, locations, ours):
        assert_close(sense(told, image, location), expected)
    if network.overview_shape is not None:
        assert "the mean of the image from i * n / overview_size" in told["how"][-1]
        size = told["overview_size"]
        rows, columns = (means(length, size) for length in shape[:2])
        overview = np.asarray(network.overview(images))
        for image, expected in zip(images, overview):
            assert_close(np.einsum("ih,jw,hwc->ijc", rows, columns, image), expected)


@pytest.mark.parametrize("padding", ["uniform", "normal"])
def test_a_sensor_is_told_of_noise(padding):
    network = ram(padding=padding, pixel_mean=0.5, pixel_stddev=0.25)
    network.build((None, 12, 12, 1))
    told = network.describe_sensor()
    assert padding in told["how"][-1]
    images = np.full((4000, 12, 12, 1), 0.7, "float32")
    locations = np.full((4000, 1, 2), -1, "float32")
    seen = network.sense({"images": images}, locations, seed=[3, 4])
    outside = np.asarray(network.denormalize(seen))[:, 0, 0, 0]
    mean, stddev = told["outside"], told["noise"]
    if padding == "uniform":
        assert mean <= outside.min() and outside.max() < mean + stddev
        mean, stddev = mean + stddev / 2, stddev / np.sqrt(12)
    assert outside.mean() == pytest.approx(mean, abs=6 * stddev / np.sqrt(outside.size))
    assert outside.std() == pytest.approx(stddev, rel=0.05)
