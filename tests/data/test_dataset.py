import functools

import numpy as np
import pytest

from ram_tf.data import Dataset, Share, Split, Translate, load
from ram_tf.data.dataset import choose_validation
from ram_tf.errors import InputError

NUM_TRAIN = 23


def numbered(count, transforms=(), first=0):
    """Images whose pixels all hold the example's number."""
    images = np.arange(first, first + count, dtype=np.uint8)[:, None, None, None]
    images = np.tile(images, (1, 3, 2, 1))
    return Split(images, np.arange(count) % 2, transforms)


def dataset(transforms=()):
    return Dataset(
        "numbered",
        numbered(NUM_TRAIN, transforms, first=1),
        numbered(5, transforms, first=101),
        numbered(7, transforms, first=201),
        ("even", "odd"),
    )


def collect(batches):
    return [tuple(tensor.numpy() for tensor in batch) for batch in batches]


def same(batches, others):
    assert len(batches) == len(others)
    return all(
        np.array_equal(tensor, other)
        for batch, other_batch in zip(batches, others, strict=True)
        for tensor, other in zip(batch, other_batch, strict=True)
    )


def test_each_epoch_is_a_permutation_of_its_own():
    batches = collect(dataset().train_batches(1, seed=3, num_steps=3 * NUM_TRAIN))
    seen = np.array([images[0, 0, 0, 0] for images, _ in batches])
    epochs = seen.reshape(3, NUM_TRAIN)
    assert (np.sort(epochs) == np.arange(1, NUM_TRAIN + 1)).all()
    assert len({tuple(epoch) for epoch in epochs}) == 3
    labels = np.array([label[0] for _, label in batches])
    assert np.array_equal(labels, (seen - 1) % 2)


def test_no_example_comes_twice_in_an_epoch_with_a_partial_batch():
    data = dataset()
    assert data.steps_per_epoch(5) == 4
    batches = collect(data.train_batches(5, seed=0, num_steps=8))
    for epoch in (batches[:4], batches[4:]):
        assert len({i for images, _ in epoch for i in images[:, 0, 0, 0]}) == 20


@pytest.mark.parametrize("start", [0, 1, 4, 5, 9])
def test_skipping_gives_the_tail(start):
    data = dataset((Translate(6, 5),))
    whole = collect(data.train_batches(4, seed=7, num_steps=11))
    tail = collect(
        data.train_batches(4, seed=7, start_step=start, num_steps=11 - start)
    )
    assert same(tail, whole[start:])


def test_batches_depend_on_the_seed_alone():
    first = collect(dataset().train_batches(4, seed=7, num_steps=6))
    assert same(first, collect(dataset().train_batches(4, seed=7, num_steps=6)))
    for seed in (8, 7 + 2**32, 2**70, -7):
        other = collect(dataset().train_batches(4, seed=seed, num_steps=6))
        assert not same(first, other)


def places(data, batch_size, num_steps, start_step=0):
    """Returns [(example, place)] of translated one-number images."""
    found = []
    batches = data.train_batches(
        batch_size, seed=5, start_step=start_step, num_steps=num_steps
    )
    for images, _ in collect(batches):
        for image in images[..., 0]:
            rows, columns = np.nonzero(image)
            found.append((image.max(), (rows.min(), columns.min())))
    return found


def test_translation_is_drawn_anew_each_epoch_whatever_the_batch():
    data = dataset((Translate(40, 30),))
    first, second = (
        dict(places(data, 1, NUM_TRAIN, start_step=epoch * NUM_TRAIN))
        for epoch in (0, 1)
    )
    assert len(first) == len(second) == NUM_TRAIN
    moved = sum(first[example] != second[example] for example in first)
    assert moved > NUM_TRAIN / 2
    assert len(set(first.values())) > NUM_TRAIN / 2
    in_one_batch = dict(places(data, NUM_TRAIN, 1))
    assert in_one_batch == first


def test_evaluation_is_padded_weighted_and_fixed():
    data = dataset((Translate(9, 9),))
    batches = collect(data.eval_batches("test", 4))
    assert [len(images) for images, _, _ in batches] == [4, 4]
    assert [list(weights) for _, _, weights in batches] == [[1] * 4, [1, 1, 1, 0]]
    assert batches[0][2].dtype == np.float32
    numbers = [image.max() for images, _, _ in batches for image in images]
    assert numbers == [*range(201, 208), 201]
    assert same(batches, collect(data.eval_batches("test", 4)))
    one_by_one = collect(data.eval_batches("test", 1))
    assert np.array_equal(
        np.concatenate([images for images, _, _ in batches])[:7],
        np.concatenate([images for images, _, _ in one_by_one]),
    )


@pytest.mark.parametrize(("limit", "expected"), [(None, 7), (3, 3), (7, 7), (99, 7)])
def test_evaluation_takes_the_first_examples(limit, expected):
    data = dataset()
    assert data.eval_size("test", limit) == expected
    batches = collect(data.eval_batches("test", 16, limit))
    images, _, weights = batches[0]
    assert len(batches) == 1 and len(images) == 16
    assert weights.sum() == expected
    assert list(images[:expected, 0, 0, 0]) == list(range(201, 201 + expected))


def test_batches_have_static_shapes():
    data = dataset((Translate(6, 5),))
    images, labels = data.train_batches(4, seed=0, num_steps=1).element_spec
    assert images.shape == (4, *data.image_shape) == (4, 6, 5, 1)
    assert labels.shape == (4,) and labels.dtype == "int64"
    images, _, weights = data.eval_batches("validation", 4).element_spec
    assert images.shape == (4, 6, 5, 1) and weights.shape == (4,)


def test_single_training_image():
    split = numbered(1, first=9)
    data = Dataset("one", split, split, split, ("even",))
    batches = collect(data.train_batches(1, seed=0, num_steps=3))
    assert [images.max() for images, _ in batches] == [9, 9, 9]


def test_float_images_stay_float():
    split = Split(np.full((4, 2, 2, 3), 0.25), np.zeros(4, int))
    data = Dataset("float", split, split, split, ("only",))
    images, _ = next(iter(data.train_batches(2, seed=0, num_steps=1)))
    assert images.dtype == "float32" and (images.numpy() == 0.25).all()


def test_validation_is_chosen_by_seed_from_the_training_images():
    train, validation = choose_validation(100, 0.1, 0)
    assert len(validation) == 10
    assert sorted([*train, *validation]) == list(range(100))
    assert np.array_equal(validation, choose_validation(100, 0.1, 0)[1])
    assert set(validation) != set(choose_validation(100, 0.1, 1)[1])


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5])
def test_bad_validation_fraction(fraction):
    with pytest.raises(InputError, match="validation_fraction"):
        choose_validation(100, fraction, 0)


def test_no_image_is_in_two_splits():
    data = load("digits", canvas=None, digit_size=8)
    splits = [
        {image.tobytes() for image in split.images}
        for split in (data.train, data.validation, data.test)
    ]
    # All 1,797 digits differ from each other, so bytes tell them apart.
    assert sum(map(len, splits)) == 1797 == len(set.union(*splits))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_images(bad):
    images = np.zeros((3, 2, 2, 1), np.float32)
    images[1, 0, 1] = bad
    with pytest.raises(InputError, match="1 images hold NaN.* number 1"):
        Split(images, np.zeros(3, int))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((3, 2, 2), np.uint8), np.zeros(3, int), "must be"),
        (np.zeros((3, 2, 2, 1), np.uint8), np.zeros(2, int), "must be"),
        (np.zeros((0, 2, 2, 1), np.uint8), np.zeros(0, int), "n > 0"),
        (np.zeros((3, 2, 2, 1), np.int32), np.zeros(3, int), "uint8 or float"),
        (np.zeros((3, 2, 2, 1), np.uint8), np.zeros(3), "integers"),
    ],
)
def test_bad_arrays(images, labels, message):
    with pytest.raises(InputError, match=message):
        Split(images, labels)


@pytest.mark.parametrize("label", [-1, 2])
def test_labels_out_of_range(label):
    good = numbered(4)
    bad = Split(good.images, np.array([0, 1, label, 0]))
    with pytest.raises(InputError, match=r"\(validation\) must be one for each"):
        Dataset("bad", good, bad, good, ("even", "odd"))


def test_splits_of_different_shapes():
    with pytest.raises(InputError, match="one shape"):
        Dataset("bad", numbered(4), numbered(4, (Translate(5, 5),)), numbered(4), "ab")


def test_bad_requests():
    data = dataset()
    with pytest.raises(InputError, match="23 training images"):
        data.steps_per_epoch(24)
    with pytest.raises(InputError, match="23 training images"):
        data.train_batches(24, seed=0, num_steps=1)
    with pytest.raises(InputError, match="positive"):
        data.steps_per_epoch(0)
    with pytest.raises(InputError, match="positive"):
        data.eval_batches("test", 0)
    with pytest.raises(InputError, match="max_examples"):
        data.eval_size("test", 0)
    with pytest.raises(InputError, match="no split 'dev'"):
        data.eval_batches("dev", 4)


# Shares of a batch


@pytest.mark.parametrize("total", [2, 4])
def test_the_shares_of_all_replicas_make_up_each_batch(total):
    data = dataset()
    shares = [Share(first, 2, total) for first in range(0, total, 2)]
    for make in (
        functools.partial(data.train_batches, 4, seed=7, start_step=1, num_steps=3),
        functools.partial(data.eval_batches, "test", 4),
    ):
        whole = collect(make())
        parts = [collect(make(share=share)) for share in shares]
        assert len(parts[0]) == 2 * len(whole)
        for step, batch in enumerate(whole):
            pieces = [part[2 * step + i] for part in parts for i in range(2)]
            for index, values in enumerate(batch):
                joined = np.concatenate([piece[index] for piece in pieces])
                np.testing.assert_array_equal(joined, values)


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(InputError, match="4 cannot be shared by 3"):
        dataset().eval_batches("test", 4, share=Share(0, 1, 3))


def test_groups_go_with_what_is_evaluated():
    split = numbered(7)
    grouped = Split(split.images, split.labels, groups=np.arange(7) // 2)
    whole = Dataset("grouped", split, split, grouped, ("even", "odd"))
    assert whole.eval_groups("validation") is None
    assert whole.eval_groups("test").tolist() == [0, 0, 1, 1, 2, 2, 3]
    assert whole.eval_groups("test", 3).tolist() == [0, 0, 1]
    with pytest.raises(InputError, match=r"one group for each of 7 images.*\(6,\)"):
        Split(split.images, split.labels, groups=np.arange(6))


def test_images_are_taken_as_they_are_evaluated():
    moved = dataset((Translate(9, 8),))
    ((images, *_),) = collect(moved.eval_batches("test", 7))
    assert np.array_equal(moved.take("test", [5, 0]), images[[5, 0]])
