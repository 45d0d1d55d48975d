"""A folder of pictures of more than 8 bits, by the range of values that they have."""

import numpy as np
import pytest

from ram_tf.data import load
from ram_tf.errors import InputError
from tests.data.awkward_files import awkward_files

AWKWARD = awkward_files()


@pytest.fixture
def tree(tmp_path):
    """Two classes of three pictures each, all the same: 12 bits of 16."""
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for index in range(3):
            path = tmp_path / name / f"{index}.png"
            path.write_bytes(AWKWARD["twelve_bits.png"].content)
    return tmp_path


@pytest.mark.parametrize("square", [None, 8])
def test_pictures_are_read_by_the_range_that_is_given(tree, square):
    sizes = {"square": square} if square else {}
    for value_range, brightest in ((None, 16), ((0, 4095), 255), ([0, 8190], 128)):
        data = load("folder", tree, channels=1, value_range=value_range, **sizes)
        images, _ = data.train.batch(np.arange(len(data.train)), 0, 0)
        assert int(np.max(images)) == brightest


def test_a_range_that_is_none_is_refused_before_anything_is_read(tree):
    (tree / "ant" / "0.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"data.value_range.*Received: \(4095, 0\)"):
        load("folder", tree, value_range=(4095, 0))
