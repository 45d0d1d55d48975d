import math

import numpy as np
import pytest
from PIL import Image

from ram_tf import layers, models, policies, visualization
from ram_tf.errors import InputError

NUM_IMAGES, NUM_GLIMPSES, SIZE = 2, 3, (17, 24)
LABELS = np.array([1, 0])
POLICY = policies.GaussianPolicy(sample=False, first_location=(-0.9, 0.6))
# Channels, scales, classes, type of the images.
CASES = {
    "grey, one scale, two classes": (1, 1, 2, "float32"),
    "colour, three scales, 120 classes": (3, 3, 120, "uint8"),
    "grey, three scales, ten classes": (1, 3, 10, "uint8"),
    "colour, one scale, floats": (3, 1, 4, "float32"),
}


def some_images(channels, dtype):
    images = np.random.default_rng(0).random((NUM_IMAGES, *SIZE, channels), "float32")
    return (images * 255).astype("uint8") if dtype == "uint8" else images


def make_network(channels, num_scales, num_classes):
    network = models.RAM(
        num_classes,
        retina=layers.Retina(5, num_scales),
        glimpse_network=layers.MlpGlimpse(8, 8, 16),
        core=layers.RectifierCell(16),
    )
    network.build((None, *SIZE, channels))
    rng = np.random.default_rng(1)
    network.set_weights(
        [rng.normal(0, 0.4, weight.shape) for weight in network.get_weights()]
    )
    return network


def names(num_classes):
    return [f"class {index}" for index in range(num_classes)]


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request):
    channels, num_scales, num_classes, dtype = request.param
    images = some_images(channels, dtype)
    network = make_network(channels, num_scales, num_classes)
    recording = visualization.record(network, POLICY, images, NUM_GLIMPSES)
    return network, images, recording, names(num_classes)


def plain_boxes(locations, num_scales):
    """Top, left, bottom, right of every patch, one number at a time."""
    boxes = np.zeros((NUM_IMAGES, NUM_GLIMPSES, num_scales, 4), int)
    for image in range(NUM_IMAGES):
        for step in range(NUM_GLIMPSES):
            x, y = locations[image, step]
            for scale in range(num_scales):
                side = 5 * 2**scale
                top = math.floor((y + 1) / 2 * SIZE[0]) - side // 2
                left = math.floor((x + 1) / 2 * SIZE[1]) - side // 2
                boxes[image, step, scale] = top, left, top + side, left + side
    return boxes


def assert_file_holds(path, recording, labels):
    with np.load(path.with_suffix(".npz")) as file:
        assert set(file) == {*recording, *(() if labels is None else ("labels",))}
        for name, array in recording.items():
            np.testing.assert_array_equal(file[name], array)
        if labels is not None:
            np.testing.assert_array_equal(file["labels"], labels)


def test_a_recording_is_what_the_model_saw_and_thought(case):
    network, images, recording, class_names = case
    result = network(images, policy=POLICY, num_glimpses=NUM_GLIMPSES)
    locations = recording["locations"]
    np.testing.assert_allclose(locations, result.locations, atol=1e-6)
    np.testing.assert_allclose(locations[:, 0], [(-0.9, 0.6)] * NUM_IMAGES, atol=1e-6)
    exponentials = np.exp(np.asarray(result.logits, "float64"))
    softmax = exponentials / exponentials.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(recording["probabilities"], softmax, atol=1e-5)
    assert recording["probabilities"].shape[-1] == len(class_names)
    divisor = 255 if images.dtype == np.uint8 else 1
    np.testing.assert_allclose(recording["images"], images / divisor, atol=1e-6)
    glimpses = network.retina(images, result.locations)
    np.testing.assert_allclose(recording["glimpses"], glimpses, atol=1e-5)
    assert recording["glimpses"].std() > 0.1


def test_boxes_are_the_pixels_around_the_locations(case):
    network, _, recording, _ = case
    boxes = recording["boxes"]
    num_scales = len(network.glimpse_sides)
    expected = plain_boxes(recording["locations"], num_scales)
    np.testing.assert_array_equal(boxes, expected)
    assert boxes.min() < 0


def test_the_picture_has_a_row_an_image_and_a_column_a_glimpse(tmp_path, case):
    _, _, recording, class_names = case
    path = tmp_path / "new folder" / "glimpses.png"
    assert visualization.plot_glimpses(recording, path, class_names, LABELS) == path
    with Image.open(path) as picture:
        width, height = picture.size
        pixels = np.asarray(picture.convert("RGB"), float)
    assert abs(width - 110 * (2.3 + 1.25 * NUM_GLIMPSES)) <= 1
    assert abs(height - 110 * 2.2 * NUM_IMAGES) <= 1
    for row in np.split(pixels[: height // 2 * 2], NUM_IMAGES):
        assert row.std() > 20  # Neither row is empty.
    assert_file_holds(path, recording, LABELS)


def test_the_animation_adds_a_glimpse_a_frame_and_holds_the_last(tmp_path, case):
    _, _, recording, class_names = case
    path = tmp_path / "new folder" / "glimpses.gif"
    assert visualization.animate_glimpses(recording, path, class_names, LABELS) == path
    frames, seconds = [], 0.0
    with Image.open(path) as film:
        assert abs(film.size[0] - 90 * 1.7 * NUM_IMAGES) <= 1
        assert abs(film.size[1] - 90 * 4.6) <= 1
        for number in range(film.n_frames):
            film.seek(number)
            frames.append(np.asarray(film.convert("RGB"), float))
            seconds += film.info["duration"] / 1000
    # Equal frames may be stored as one that lasts longer.
    assert len(frames) in (NUM_GLIMPSES, NUM_GLIMPSES + 1)
    assert seconds == pytest.approx((NUM_GLIMPSES + 1) / 1.5, rel=0.05)
    for earlier, later in zip(frames[: NUM_GLIMPSES - 1], frames[1:]):
        assert np.abs(earlier - later).mean() > 0.1
    assert_file_holds(path, recording, LABELS)


def test_the_box_of_a_glimpse_is_drawn_where_it_looked(tmp_path):
    network = make_network(1, 1, 2)
    dark = np.zeros((1, *SIZE, 1), "float32")
    pictures = []
    for place in [(-0.6, -0.5), (0.6, 0.5)]:
        policy = policies.GaussianPolicy(sample=False, first_location=place)
        recording = visualization.record(network, policy, dark, 1)
        path = visualization.plot_glimpses(recording, tmp_path / "a.png", names(2))
        with Image.open(path) as picture:
            pictures.append(np.asarray(picture.convert("RGB"), float))
    assert pictures[0].shape == pictures[1].shape
    rows, columns, _ = np.nonzero(np.abs(pictures[0] - pictures[1]) > 30)
    # Both boxes differ from the dark image, and lie in its opposite corners.
    image_width = pictures[0].shape[1] * 1.9 / 2.9
    assert np.ptp(columns[columns < image_width]) > 0.5 * image_width
    assert np.ptp(rows) > 0.3 * pictures[0].shape[0]


def test_one_image_and_one_glimpse_can_be_drawn_without_labels(tmp_path):
    network = make_network(1, 1, 2)
    recording = visualization.record(network, POLICY, some_images(1, "uint8")[:1], 1)
    for plot, name in [
        (visualization.plot_glimpses, "one.png"),
        (visualization.animate_glimpses, "one.gif"),
    ]:
        with Image.open(plot(recording, tmp_path / name, names(2))) as picture:
            picture.load()
            assert min(picture.size) > 100
        assert_file_holds(tmp_path / name, recording, None)


CURVES = """epoch,loss,accuracy,spread,learning_rate,val_loss,val_accuracy
0,2.0,0.25,0.1,0.001,2.5,0.2
1,1.5,0.5,,0.001,2.0,0.4
2,1.0,0.75,0.3,0.0005,1.75,0.5
"""


def test_curves_are_drawn_from_the_metrics_file_with_their_numbers_beside(tmp_path):
    (tmp_path / "metrics.csv").write_text(CURVES)
    path = tmp_path / "new folder" / "curves.png"
    assert visualization.plot_curves(tmp_path / "metrics.csv", path) == path
    with Image.open(path) as picture:
        # Four panels, three in a row.
        assert abs(picture.size[0] - 110 * 3.6 * 3) <= 1
        assert abs(picture.size[1] - 110 * 2.5 * 2) <= 1
        assert np.asarray(picture.convert("L"), float).std() > 10
    with np.load(path.with_suffix(".npz")) as file:
        assert set(file) == {"epochs", *CURVES.splitlines()[0].split(",")[1:]}
        np.testing.assert_array_equal(file["epochs"], [1, 2, 3])
        np.testing.assert_allclose(file["val_loss"], [2.5, 2.0, 1.75])
        np.testing.assert_allclose(file["spread"], [0.1, np.nan, 0.3])


@pytest.mark.parametrize("content", [None, CURVES.splitlines()[0] + "\n"])
def test_no_finished_epoch_is_an_input_error(tmp_path, content):
    if content is not None:
        (tmp_path / "metrics.csv").write_text(content)
    with pytest.raises(InputError, match="epoch"):
        visualization.plot_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()
