import numpy as np
import pytest
import tensorflow as tf

from ram_tf import evaluation, layers, metrics, models, policies, random

SIZE = (20, 30)


def boxes(*starts, side=4):
    """Finest and wider boxes of one image, from the finest one's first pixels."""
    return [
        [(r, c, r + side, c + side), (r - 2, c - 2, r + side + 2, c + side + 2)]
        for r, c in starts
    ]


@pytest.mark.parametrize(
    ("starts", "coverage", "revisits"),
    [
        ([(0, 0)], 16 / 600, 0.0),
        ([(0, 0), (0, 10)], 32 / 600, 0.0),
        ([(0, 0), (0, 0)], 16 / 600, 1.0),
        ([(0, 0), (2, 2)], 28 / 600, 1.0),  # Half a side away on both axes.
        ([(0, 0), (2, 3)], 30 / 600, 0.0),
        ([(0, 0), (9, 9), (1, 0)], 36 / 600, 0.5),
        ([(0, 0), (9, 9), (9, 9), (0, 0)], 32 / 600, 2 / 3),
        ([(-2, -3)], 2 * 1 / 600, 0.0),
        ([(-9, -9), (18, 28)], 4 / 600, 0.0),
    ],
)
def test_coverage_counts_pixels_and_revisits_count_returns(starts, coverage, revisits):
    # A second image whose glimpses lie far outside sees nothing and never returns.
    away = [(100 + 50 * step, 100) for step in range(len(starts))]
    found = metrics.policy_statistics(
        np.zeros((2, len(starts), 2)), np.array([boxes(*starts), boxes(*away)]), SIZE
    )
    assert found["coverage"] == pytest.approx(coverage / 2)
    assert found["revisits"] == pytest.approx(revisits / 2)
    assert found["spread"] == 0.0


def test_the_spread_is_between_images_and_leaves_the_first_glimpse_out():
    locations = np.zeros((2, 3, 2))
    locations[0, 0], locations[1, 0] = -1.0, 1.0  # The first glimpse was drawn.
    together = boxes((0, 0), (5, 5), (9, 9))
    boxed = np.array([together, together])
    assert metrics.policy_statistics(locations, boxed, SIZE)["spread"] == 0.0
    locations[:, 1] = 0.7  # A place that is the same in every image.
    assert metrics.policy_statistics(locations, boxed, SIZE)["spread"] == 0.0
    locations[0, 2, 0], locations[1, 2, 0] = -0.5, 0.5
    # One of four coordinates has the variance 0.25.
    spread = metrics.policy_statistics(locations, boxed, SIZE)["spread"]
    assert spread == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("image_size", "sides", "num_glimpses", "expected"),
    [
        ((28, 28), (8,), 6, [6 * 64 / 784]),
        ((28, 28), (8, 16), 6, [6 * 64 / 784, 1.0]),
        ((10, 40), (8, 20), 1, [64 / 400, 10 * 20 / 400]),
        ((4, 4), (8,), 1, [1.0]),
    ],
)
def test_the_share_that_glimpses_can_cover(image_size, sides, num_glimpses, expected):
    found = metrics.coverable_share(image_size, sides, num_glimpses)
    assert found == pytest.approx(expected)
    line = metrics.describe_coverage(image_size, sides, num_glimpses)
    for share, side in zip(expected, sides):
        assert f"{share:.0%} at {side}x{side}" in line
    assert ("larger than the image" in line) == (max(sides) > min(image_size))
    assert ("compare with the controls" in line) == (
        len(sides) > 1 and expected[-1] == 1.0
    )


def plain_calibration_error(confidences, correct, num_bins):
    total = 0.0
    for index in range(num_bins):
        members = [
            (confidence, right)
            for confidence, right in zip(confidences, correct)
            if index / num_bins <= confidence < (index + 1) / num_bins
            or (index == num_bins - 1 and confidence == 1.0)
        ]
        if members:
            confidence = np.mean([m[0] for m in members])
            accuracy = np.mean([m[1] for m in members])
            total += len(members) / len(confidences) * abs(accuracy - confidence)
    return total


@pytest.mark.parametrize("num_bins", [1, 10, 15])
def test_calibration_error_is_that_of_a_loop_over_bins(num_bins):
    rng = np.random.default_rng(0)
    confidences = np.append(rng.random(200), [1.0, 1.0, 0.0])
    correct = rng.random(203) < confidences**2
    expected = plain_calibration_error(confidences, correct, num_bins)
    assert expected > 0.05
    found = metrics.calibration_error(confidences, correct, num_bins)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("confidences", "correct", "expected"),
    [
        ([1.0, 1.0], [True, True], 0.0),
        ([1.0, 1.0], [False, False], 1.0),
        ([0.75] * 4, [True, True, True, False], 0.0),
        ([0.9, 0.1], [False, True], 0.9),
    ],
)
def test_calibration_error_by_hand(confidences, correct, expected):
    found = metrics.calibration_error(np.array(confidences), np.array(correct))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("accuracy", "num_examples", "text"),
    [
        (0.9877, 10_000, "98.77 % (9877/10000)"),
        (1.0, 7, "100.00 % (7/7)"),
        (2 / 3, 3, "66.67 % (2/3)"),
        (0.0, 5, "0.00 % (0/5)"),
    ],
)
def test_accuracy_is_written_with_its_count(accuracy, num_examples, text):
    assert metrics.format_accuracy(accuracy, num_examples) == text


# Comparison of policies

NUM_IMAGES, NUM_GLIMPSES = 10, 3
RNG = np.random.default_rng(0)
IMAGES = RNG.random((NUM_IMAGES + 2, 12, 9, 1), "float32")
LABELS = RNG.integers(0, 3, NUM_IMAGES + 2)
WEIGHTS = (np.arange(NUM_IMAGES + 2) < NUM_IMAGES).astype("float32")
BATCHES = [
    (IMAGES[i : i + 4], LABELS[i : i + 4], WEIGHTS[i : i + 4]) for i in (0, 4, 8)
]
POLICIES = {
    "learned": policies.GaussianPolicy(),
    "mean": policies.GaussianPolicy(sample=False),
    "random": policies.RandomPolicy(),
}


def make_network():
    network = models.RAM(
        3,
        retina=layers.Retina(4, 2),
        glimpse_network=layers.MlpGlimpse(8, 8, 16),
        core=layers.RectifierCell(16),
        location=layers.GaussianLocation(0.4),
    )
    network.build((None, 12, 9, 1))
    rng = np.random.default_rng(1)
    weights = [rng.normal(0, 0.5, weight.shape) for weight in network.get_weights()]
    network.set_weights(weights)
    return network


def plain_measures(network, policy, copies, seed):
    """Every measure of one pass, example by example from plain rollouts."""
    averaged, own, locations = [], [], []
    for index, (images, labels, weights) in enumerate(BATCHES):
        result = models.rollout(
            network,
            policy,
            network.prepare(np.repeat(images, copies, axis=0)),
            NUM_GLIMPSES,
            seed=random.make_seed(seed, index),
        )
        logits = np.asarray(result.logits, "float64")
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        for example in range(len(images)):
            if not weights[example]:
                continue
            mine = slice(example * copies, (example + 1) * copies)
            averaged.append((probabilities[mine].mean(axis=0), labels[example]))
            own.append(
                (probabilities[mine].argmax(axis=-1) == labels[example]).mean(axis=0)
            )
            locations.append(np.asarray(result.locations)[example * copies])
    right = np.array([p.argmax(axis=-1) == label for p, label in averaged])
    best = np.array([p.max(axis=-1) for p, _ in averaged])
    return {
        "accuracy": right.mean(axis=0),
        "accuracy_one_sample": np.mean(own, axis=0),
        "nll": -np.mean([np.log(p[:, label]) for p, label in averaged], axis=0),
        "calibration_error": [
            plain_calibration_error(best[:, t], right[:, t], 15)
            for t in range(NUM_GLIMPSES)
        ],
    }, np.array(locations)


@pytest.fixture(scope="module")
def compared():
    network, ticks = make_network(), []
    result = evaluation.compare_policies(
        network,
        POLICIES,
        BATCHES,
        NUM_GLIMPSES,
        mc_samples=3,
        seeds=2,
        xla=False,
        progress=lambda: ticks.append(1),
    )
    return network, result, len(ticks)


@pytest.mark.parametrize("name", POLICIES)
def test_policies_are_measured_as_plain_rollouts_are(compared, name):
    network, result, _ = compared
    policy, found = POLICIES[name], result["policies"][name]
    copies, seeds = (1, 1) if policy.deterministic else (3, 2)
    assert found["mc_samples"] == copies
    runs = [plain_measures(network, policy, copies, seed) for seed in range(seeds)]
    for measure in runs[0][0]:
        values = [run[measure] for run, _ in runs]
        mean, std = np.mean(values, axis=0), np.std(values, axis=0)
        assert found[measure]["mean"] == pytest.approx(mean, abs=1e-5), measure
        assert found[measure]["std"] == pytest.approx(std, abs=1e-5), measure
    statistics = [
        metrics.policy_statistics(
            places, np.asarray(network.glimpse_boxes(places, (12, 9))), (12, 9)
        )
        for _, places in runs
    ]
    for key, value in found["statistics"].items():
        assert value == pytest.approx(np.mean([s[key] for s in statistics]), abs=1e-6)


def test_a_comparison_says_what_was_compared(compared):
    _, result, ticks = compared
    assert list(result["policies"]) == list(POLICIES)
    assert result["num_examples"] == NUM_IMAGES
    assert result["num_glimpses"] == NUM_GLIMPSES
    assert result["mc_samples"] == 3
    assert result["seeds"] == 2
    assert ticks == 2 + 1 + 2
    learned = result["policies"]["learned"]
    assert max(learned["nll"]["std"]) > 0
    assert learned["accuracy"]["mean"] != learned["accuracy_one_sample"]["mean"]


# Perturbations


def perturb(name, images):
    batch = tf.constant(images)
    found = evaluation.PERTURBATIONS[name](batch, random.make_seed(1))
    assert found.shape == images.shape
    assert found.dtype == images.dtype
    return np.asarray(found)


def bytes_images(shape=(4, 20, 30, 1)):
    return np.random.default_rng(0).integers(1, 256, shape).astype("uint8")


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", evaluation.PERTURBATIONS)
def test_a_perturbation_changes_pixels_and_nothing_else(name, channels, dtype):
    images = bytes_images((4, 20, 30, channels)).astype(dtype)
    found = perturb(name, images)
    assert (found != images).any()
    assert images.min() - 1 <= found.max() <= images.max()
    assert found.min() >= 0


@pytest.mark.parametrize("name", evaluation.PERTURBATIONS)
def test_a_black_image_stays_black(name):
    black = np.zeros((3, 20, 30, 1), "uint8")
    assert not perturb(name, black).any()


@pytest.mark.parametrize("value", [1, 100, 255])
@pytest.mark.parametrize("name", ["scale 1.25", "clutter"])
def test_an_even_image_stays_as_it_is(name, value):
    even = np.full((3, 20, 30, 1), value, "uint8")
    np.testing.assert_array_equal(perturb(name, even), even)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("size", [(20, 30), (40, 10)])
def test_a_shift_moves_every_pixel_a_tenth_down_and_right(size, dtype):
    images = bytes_images((2, *size, 1)).astype(dtype)
    found = perturb("shift 10 %", images)
    down, right = size[0] // 10, size[1] // 10
    expected = np.zeros_like(images)
    expected[:, down:, right:] = images[:, :-down, :-right]
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "scale"), [("scale 0.75", 0.75), ("scale 1.25", 1.25)]
)
def test_a_scale_enlarges_about_the_centre(name, scale):
    rows, columns = np.meshgrid(np.arange(20.0), np.arange(30.0), indexing="ij")
    plane = 3 + 0.5 * rows + 0.25 * columns  # Bilinear sampling of a plane is exact.
    found = perturb(name, plane[None, ..., None].astype("float32"))[0, ..., 0]
    from_row, from_column = (rows - 9.5) / scale + 9.5, (columns - 14.5) / scale + 14.5
    expected = 3 + 0.5 * from_row + 0.25 * from_column
    inside = (from_row >= 0) & (from_row <= 19) & (from_column >= 0)
    inside &= from_column <= 29
    outside = (from_row < -1) | (from_row > 20) | (from_column < -1)
    outside |= from_column > 30
    assert inside.sum() > 300
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-4)
    assert (scale > 1) or outside.any()
    assert not found[outside].any()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_clutter_pastes_pieces_of_other_images_by_maximum(dtype):
    images = np.zeros((4, 20, 30, 1), dtype)
    images[1:] = np.array([50, 100, 200])[:, None, None, None]
    found = perturb("clutter", images)
    assert (found >= images).all()
    assert set(np.unique(found)) <= {0, 50, 100, 200}
    pasted = found[0] > 0  # Three pieces of 8x8 of the others, one of its own.
    assert 64 <= pasted.sum() <= 3 * 64
    np.testing.assert_array_equal(found[3], images[3])


def test_statistics_can_be_written_as_json():
    found = metrics.policy_statistics(
        np.zeros((1, 1, 2)), np.array([boxes((0, 0))]), SIZE
    )
    assert {type(value) for value in found.values()} == {float}
