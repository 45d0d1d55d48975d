"""Glimpses that can tell little, counted on cases worked out by hand."""

import numpy as np
import pytest

from ram_tf import evaluation, layers, models, ops, policies
from ram_tf.evaluation import movement, reports
from ram_tf.training.monitors import monitor_mode

SIDE = 4


def boxes(*starts):
    """Finest and wider boxes `(1, glimpses, 2, 4)` from the finest first pixels."""
    return np.array(
        [
            [
                [(r, c, r + SIDE, c + SIDE), (r - 2, c - 2, r + 6, c + 6)]
                for r, c in starts
            ]
        ]
    )


def idle(image, starts, background=0.0, locations=None):
    """The three answers for one image, as lists."""
    if locations is None:
        locations = np.zeros((len(starts), 2))
    found_at = boxes(*starts)
    extremes = ops.box_extremes(image[None], found_at[:, :, 0], SIDE)
    found = movement.idle_glimpses(
        extremes, np.float32(locations)[None], found_at, background
    )
    return {name: np.asarray(value)[0].tolist() for name, value in found.items()}


@pytest.mark.parametrize("kind", ["float32", "uint8"])
@pytest.mark.parametrize(
    ("background", "level", "difference", "blank"),
    [
        (0.0, 0.0, 0.0, 1.0),
        (0.0, 0.0, 0.04, 1.0),
        (0.0, 0.0, 0.06, 0.0),
        (0.0, 0.5, 0.0, 0.0),  # All alike, and not the background.
        (1.0, 1.0, -0.04, 1.0),
        (1.0, 1.0, -0.06, 0.0),
        (1.0, 0.0, 0.0, 0.0),
        (None, 0.0, 0.0, 1.0),
        (None, 0.5, 0.0, 1.0),
        (None, 0.5, 0.04, 1.0),
        (None, 0.5, -0.06, 0.0),
    ],
)
def test_a_glimpse_is_blank_that_differs_nowhere(
    background, level, difference, blank, kind
):
    image = np.full((10, 12, 1), level)
    image[5, 7] += difference  # The last pixel of the first glimpse, not of the other.
    image = np.rint(255 * image).astype(kind) if kind == "uint8" else np.float32(image)
    found = idle(image, [(2, 4), (1, 3)], background)["blank"]
    elsewhere = level == background or background is None
    assert found == [blank, float(elsewhere)]


def test_each_channel_of_a_photograph_is_compared_with_itself():
    red = np.float32([0.9, 0.1, 0.1]) * np.ones((10, 12, 3), "float32")
    assert idle(red, [(0, 0)], None)["blank"] == [1.0]
    red[1, 1, 2] = 0.3
    assert idle(red, [(0, 0), (2, 2)], None)["blank"] == [0.0, 1.0]


def test_what_lies_outside_of_the_image_shows_nothing():
    image = np.zeros((10, 12, 1), "float32")
    image[0, 0] = 1.0
    starts = [(-3, -3), (-3, -2), (-4, 1), (8, 10)]
    assert idle(image, starts)["blank"] == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("starts", "again"),
    [
        ([(0, 0)], [0]),
        ([(0, 0), (0, 0)], [0, 1]),
        ([(0, 0), (1, 1)], [0, 1]),
        ([(0, 0), (0, 2)], [0, 0]),  # Half a glimpse away, as cells of a grid are.
        ([(2, 0), (0, 1)], [0, 0]),
        ([(0, 0), (9, 9), (1, 0), (8, 8)], [0, 0, 1, 1]),
    ],
)
def test_a_place_was_seen_before_if_an_earlier_glimpse_is_near(starts, again):
    assert idle(np.zeros((10, 12, 1), "float32"), starts)["seen_before"] == again


def test_the_edge_begins_where_a_coordinate_is_large():
    locations = [(0, 0), (0.94, -0.94), (0.96, 0), (0, -0.96), (1, 1)]
    image = np.zeros((10, 12, 1), "float32")
    found = idle(image, [(0, 0)] * 5, locations=locations)
    assert found["on_edge"] == [0, 0, 1, 1, 1]


def test_the_first_gain_is_over_a_guess_and_all_add_up():
    belief = np.log([[0.5, 0.8, 0.4], [0.25, 0.25, 0.25]])
    found = movement.likelihood_gains(belief, num_classes=4)
    expected = np.log([[2.0, 1.6, 0.5], [1.0, 1.0, 1.0]])
    assert found == pytest.approx(expected)
    assert found.sum(axis=1) == pytest.approx(belief[:, -1] + np.log(4))


def test_the_first_glimpse_counts_in_no_share():
    assert movement.later_share([1.0, 0.25, 0.75]) == 0.5
    assert movement.later_share([1.0]) == 0.0


def test_only_what_is_too_much_is_named():
    shares = dict(movement.TOLERATED)
    assert movement.describe_idle(shares) is None
    line = movement.describe_idle({**shares, "blank": 0.75})
    assert "75% show nothing" in line
    assert "edge" not in line and "before" not in line


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("likelihood_gain_2", "max"),
        ("blank", "min"),
        ("seen_before", "min"),
        ("on_edge", "min"),
    ],
)
def test_which_way_they_get_better(name, mode):
    assert monitor_mode(name) == mode


def test_a_comparison_counts_them_and_warns_of_a_policy_that_chooses():
    network = models.RAM(
        3,
        retina=layers.Retina(4, 1),
        glimpse_network=layers.MlpGlimpse(8, 8, 16),
        core=layers.RectifierCell(12),
        location=layers.GaussianLocation(0.2, None),
    )
    network.build((None, 10, 12, 1))
    images = np.zeros((4, 10, 12, 1), "float32")
    images[:2, 3:7, 4:8] = np.random.default_rng(0).random((2, 4, 4, 1))
    batches = [(images, np.arange(4) % 3, np.float32([1, 1, 1, 0]))]
    compared = evaluation.compare_policies(
        network,
        {"mean": policies.CenterPolicy(), "learned": policies.CenterPolicy()},
        batches,
        3,
        background=0.0,
        xla=False,
    )
    found = compared["policies"]["mean"]
    # Two of three images show something in their centre.
    assert found["blank"]["mean"] == pytest.approx([1 / 3] * 3)
    assert found["seen_before"]["mean"] == [0.0, 1.0, 1.0]
    assert found["on_edge"]["mean"] == [0.0] * 3
    assert len(found["likelihood_gain"]["mean"]) == 3
    lines = []
    reports.report_details(compared, lines.append)
    (line,) = [line for line in lines if "there is little" in line]
    assert line.startswith("warning: the policy mean")
    assert "33% show nothing" in line and "100% return" in line and "edge" not in line
