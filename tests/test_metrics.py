import numpy as np
import pytest

from ram_tf import evaluation, layers, models, policies, random
from ram_tf.evaluation import movement, reports, statistics, words

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
        ([(0, 0), (0, 2)], 24 / 600, 0.0),  # They share exactly half of their area,
        ([(2, 0), (0, 0)], 24 / 600, 0.0),  # as neighbouring cells of a grid do.
        ([(0, 0), (0, 1)], 20 / 600, 1.0),
        ([(0, 0), (1, 1)], 23 / 600, 1.0),
        ([(0, 0), (1, 2)], 26 / 600, 0.0),
        ([(0, 0), (9, 9), (1, 0)], 36 / 600, 0.5),
        ([(0, 0), (9, 9), (9, 9), (0, 0)], 32 / 600, 2 / 3),
        ([(-2, -3)], 2 * 1 / 600, 0.0),
        ([(-9, -9), (18, 28)], 4 / 600, 0.0),
    ],
)
def test_coverage_counts_pixels_and_revisits_count_returns(starts, coverage, revisits):
    # A second image whose glimpses lie far outside sees nothing and never returns.
    away = [(100 + 50 * step, 100) for step in range(len(starts))]
    found = movement.policy_statistics(
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
    assert movement.policy_statistics(locations, boxed, SIZE)["spread"] == 0.0
    locations[:, 1] = 0.7  # A place that is the same in every image.
    assert movement.policy_statistics(locations, boxed, SIZE)["spread"] == 0.0
    locations[0, 2, 0], locations[1, 2, 0] = -0.5, 0.5
    # One of four coordinates has the variance 0.25.
    spread = movement.policy_statistics(locations, boxed, SIZE)["spread"]
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
    found = movement.coverable_share(image_size, sides, num_glimpses)
    assert found == pytest.approx(expected)
    line = movement.describe_coverage(image_size, sides, num_glimpses)
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
    found = statistics.calibration_error(confidences, correct, num_bins)
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
    found = statistics.calibration_error(np.array(confidences), np.array(correct))
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
    assert words.format_accuracy(accuracy, num_examples) == text


@pytest.mark.parametrize(
    ("accuracy", "counts", "originals", "said"),
    [
        (
            {"mean": [0.1, 0.975], "standard_error": [0.1, 0.0123], "std": [0, 0.035]},
            [38, 40],
            40,
            "97.50 % ± 1.23 points over images, std 3.50 over 2 evaluation seeds, the "
            "first 95.00 % (38/40)",
        ),
        (
            {"mean": [0.1, 0.95], "standard_error": [0.1, 0.02], "std": None},
            [38],
            10,
            "95.00 % (38/40) ± 2.00 points over images of 10 originals",
        ),
        (
            {"mean": [0.1, 0.95], "standard_error": [None, None], "std": None},
            [38],
            1,
            "95.00 % (38/40)",
        ),
        # As it was written before errors were measured.
        ({"mean": [0.1, 0.975], "std": [0.0, 0.025]}, None, None, "97.50 %"),
    ],
)
def test_an_accuracy_is_told_with_its_errors(accuracy, counts, originals, said):
    learned = {"accuracy": accuracy, "mc_samples": 7, "num_correct": counts}
    compared = {"policies": {"learned": learned}, "num_examples": 40}
    if counts is None:
        del learned["num_correct"]
    else:
        compared["num_originals"] = originals
    found = reports.describe_learned(compared)
    assert found == f"learned policy, 7 sample(s) averaged: {said}"


# Errors, against simulations whose answers are known

NUM_SIMULATED = 4000
# Four standard deviations of a variance that is estimated from so many normal draws.
MONTE_CARLO = 4 * np.sqrt(2 / NUM_SIMULATED)


def alike(rng, groups, shape=()):
    """Right or wrong answers that are more alike within a group than between."""
    chances = rng.beta(0.6, 0.4, (NUM_SIMULATED, groups.max() + 1, *shape))
    return rng.random((NUM_SIMULATED, len(groups), *shape)) < chances[:, groups]


@pytest.mark.parametrize(
    "groups",
    [np.tile(np.arange(50), 4), np.repeat(np.arange(60), np.arange(60) % 5 + 1)],
    ids=["four of each", "one to five of each"],
)
def test_the_standard_error_of_clustered_images_is_the_spread_of_their_means(groups):
    answers = alike(np.random.default_rng(0), groups)
    errors = np.array([statistics.standard_error(each, groups) for each in answers])
    truth = answers.mean(axis=1).var(ddof=1)
    assert np.mean(errors**2) == pytest.approx(truth, rel=MONTE_CARLO)
    # As if all were independent, it would be too small by far.
    alone = np.array([statistics.standard_error(each) for each in answers])
    assert np.mean(alone**2) < 0.6 * truth


def test_the_standard_error_of_independent_images_needs_no_groups():
    every = np.arange(30)
    answers = alike(np.random.default_rng(1), every, (2,))
    errors = np.array([statistics.standard_error(each) for each in answers])
    truth = answers.mean(axis=1).var(axis=0, ddof=1)
    np.testing.assert_allclose((errors**2).mean(axis=0), truth, rtol=MONTE_CARLO)
    for grouped in (every, every[::-1] + 7):
        found = statistics.standard_error(answers[0], grouped)
        np.testing.assert_allclose(found, errors[0], rtol=1e-12)
    by_hand = np.sqrt(answers[0].var(axis=0, ddof=1) / 30)
    np.testing.assert_allclose(errors[0], by_hand, rtol=1e-12)


def test_the_standard_error_of_a_paired_difference_knows_of_the_pairs():
    rng, count = np.random.default_rng(2), 80
    difficulty = rng.random((NUM_SIMULATED, count)) < 0.5
    chances = np.where(difficulty, 0.95, 0.2)
    one, other = (rng.random(chances.shape) < each for each in (chances, chances - 0.1))
    difference = one.astype(float) - other
    errors = np.array([statistics.standard_error(each) for each in difference])
    truth = difference.mean(axis=1).var(ddof=1)
    assert np.mean(errors**2) == pytest.approx(truth, rel=MONTE_CARLO)
    apart = one.mean(axis=1).var(ddof=1) + other.mean(axis=1).var(ddof=1)
    assert truth < 0.6 * apart


@pytest.mark.parametrize("num_seeds", [2, 3])
def test_the_spread_of_a_few_seeds_is_on_average_that_of_many(num_seeds):
    draws = np.random.default_rng(3).normal(98.0, 0.3, (NUM_SIMULATED, num_seeds))
    stds = np.array([statistics.mean_and_std(seeds)["std"] for seeds in draws])
    scatter = MONTE_CARLO / np.sqrt(num_seeds - 1)
    assert np.mean(stds**2) == pytest.approx(0.3**2, rel=scatter)
    # And the standard error over training seeds is the spread of their means.
    errors = np.array([statistics.standard_error(seeds) for seeds in draws])
    assert np.mean(errors**2) == pytest.approx(0.3**2 / num_seeds, rel=scatter)


def test_one_seed_or_one_picture_says_nothing_of_others():
    one = statistics.mean_and_std([[0.5, 0.25]])
    assert one == {"mean": [0.5, 0.25], "std": None}
    for values, groups in ((np.ones((1, 2)), None), (np.eye(2), [7, 7])):
        error = statistics.standard_error(values, groups)
        assert statistics.without_nan(error) == [None, None]
    assert statistics.without_nan(np.float64("nan")) is None
    assert statistics.without_nan(np.float32(0.5)) == 0.5


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


GROUPS = np.array([0, 1, 2, 3, 4, 0, 1, 2, 3, 4])


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
    by_example = {
        "accuracy": right,
        "accuracy_one_sample": np.array(own),
        "nll": -np.log([p[:, label] for p, label in averaged]),
    }
    calibration = [
        plain_calibration_error(best[:, t], right[:, t], 15)
        for t in range(NUM_GLIMPSES)
    ]
    return by_example, calibration, np.array(locations)


@pytest.fixture(scope="module")
def compared():
    network, ticks = make_network(), []
    result = evaluation.compare_policies(
        network,
        POLICIES,
        BATCHES,
        NUM_GLIMPSES,
        groups=GROUPS,
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
    values = {
        name: [by_example[name].mean(axis=0) for by_example, _, _ in runs]
        for name in runs[0][0]
    }
    values["calibration_error"] = [calibration for _, calibration, _ in runs]
    for measure, each in values.items():
        mean, std = np.mean(each, axis=0), found[measure]["std"]
        assert found[measure]["mean"] == pytest.approx(mean, abs=1e-5), measure
        if seeds == 1:
            assert std is None
        else:
            expected = np.std(each, axis=0, ddof=1)
            assert std == pytest.approx(expected, abs=1e-5), measure
    for measure in runs[0][0]:
        by_image = np.mean([run[measure] for run, _, _ in runs], axis=0)
        error = statistics.standard_error(by_image, GROUPS)
        assert found[measure]["standard_error"] == pytest.approx(error, abs=1e-5)
        assert np.shape(error) == (NUM_GLIMPSES,) and error.min() > 0
    assert found["num_correct"] == [run["accuracy"][:, -1].sum() for run, _, _ in runs]
    moves = [
        movement.policy_statistics(
            places, np.asarray(network.glimpse_boxes(places, (12, 9))), (12, 9)
        )
        for _, _, places in runs
    ]
    for key, value in found["statistics"].items():
        assert value == pytest.approx(np.mean([s[key] for s in moves]), abs=1e-6)


def test_a_control_is_told_by_what_it_does_not_by_its_name(compared):
    _, result, _ = compared
    measured, lines = dict(result["policies"]), []
    for name, policy in POLICIES.items():
        assert measured[name]["blind"] == policy.blind
    # As of a run that was trained with a control, and of one from before it was kept.
    blind = {**next(iter(measured.values())), "blind": True}
    old = {key: value for key, value in blind.items() if key != "blind"}
    policies = {"learned": blind, "mine": old, "center": old}
    reports.report_comparison({**result, "policies": policies}, lines.append)
    named = [line for line in lines if "(control)" in line]
    assert {line.split(" ")[0] for line in named} == {"learned", "center"}


def test_a_comparison_says_what_was_compared(compared):
    _, result, ticks = compared
    assert list(result["policies"]) == list(POLICIES)
    assert result["num_examples"] == NUM_IMAGES
    assert result["num_originals"] == 5
    assert result["num_glimpses"] == NUM_GLIMPSES
    assert result["mc_samples"] == 3
    assert result["seeds"] == 2
    assert ticks == 2 + 1 + 2
    learned = result["policies"]["learned"]
    assert (learned["seeds"], result["policies"]["mean"]["seeds"]) == (2, 1)
    assert max(learned["nll"]["std"]) > 0
    assert learned["accuracy"]["mean"] != learned["accuracy_one_sample"]["mean"]


def test_statistics_can_be_written_as_json():
    found = movement.policy_statistics(
        np.zeros((1, 1, 2)), np.array([boxes((0, 0))]), SIZE
    )
    assert {type(value) for value in found.values()} == {float}
