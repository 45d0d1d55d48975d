"""Floats that cannot be pixels are refused where images come in."""

import numpy as np
import pytest

from ram_tf import data, models, policies
from ram_tf.errors import InputError
from ram_tf.pictures.record import record
from ram_tf.serving.client import RestClient
from tests.contracts import small_ram

RNG = np.random.default_rng(0)
PIXELS = RNG.random((3, 10, 9, 1), "float32")
CENTER = policies.CenterPolicy()


@pytest.fixture(scope="module")
def network():
    network = small_ram(models.ActiveRAM)
    network.build((None, 10, 9, 1))
    return network


def looker(network):
    return models.DynamicLooker(network, CENTER, 1, models.Settled(0.1))


ENTRIES = {
    "a split": lambda network, images: data.Split(images, np.arange(3)),
    "a call": lambda network, images: network(images, policy=CENTER, num_glimpses=1),
    "a recording": lambda network, images: record(network, CENTER, images, 1),
    "looking as long as it takes": lambda network, images: looker(network)(images),
    "a client": lambda network, images: RestClient("localhost:1", "model").call(
        "serving_default", {"images": images}
    ),
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(
    ("images", "found"),
    [(255 * np.round(PIXELS), "0 to 255"), (2 * np.round(PIXELS) - 1, "-1 to 1")],
)
def test_floats_that_are_no_pixels_are_refused(network, entry, images, found):
    with pytest.raises(InputError, match=f"Received: {found}. Divide bytes by 255"):
        ENTRIES[entry](network, images)


@pytest.mark.parametrize("entry", ["a split", "a call", "a recording"])
@pytest.mark.parametrize("images", [PIXELS, PIXELS + 1e-6, (255 * PIXELS).astype("u1")])
def test_pixels_are_taken(network, entry, images):
    assert ENTRIES[entry](network, images) is not None
