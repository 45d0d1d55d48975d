import math

import numpy as np
import pytest
import tensorflow as tf
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from PIL import Image

from ram_tf import layers, models, policies, random
from ram_tf.errors import InputError
from ram_tf.experiment.monitor import PolicyMonitor
from ram_tf.pictures.curves import plot_curves
from ram_tf.pictures.gain import plot_gain
from ram_tf.pictures.glimpses import animate_glimpses, plot_glimpses
from ram_tf.pictures.record import record
from tests.comparisons import assert_close

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


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES)
def case(request):
    channels, num_scales, num_classes, dtype = request.param
    images = some_images(channels, dtype)
    network = make_network(channels, num_scales, num_classes)
    recording = record(network, POLICY, images, NUM_GLIMPSES)
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
    assert_close(locations, result.locations)
    assert_close(locations[:, 0], [(-0.9, 0.6)] * NUM_IMAGES)
    exponentials = np.exp(np.asarray(result.logits, "float64"))
    softmax = exponentials / exponentials.sum(axis=-1, keepdims=True)
    assert_close(recording["probabilities"], softmax)
    assert recording["probabilities"].shape[-1] == len(class_names)
    divisor = 255 if images.dtype == np.uint8 else 1
    assert_close(recording["images"], images / divisor)
    glimpses = network.retina(images, result.locations)
    assert_close(recording["glimpses"], glimpses)
    assert recording["glimpses"].std() > 0.1


@pytest.mark.parametrize(
    "policy", [POLICY, policies.GaussianPolicy(), *policies.CONTROLS.values()], ids=repr
)
def test_a_recording_has_the_noise_that_the_model_saw(policy, monkeypatch):
    network = models.RAM(4, retina=layers.Retina(5, 2, padding="normal"))
    network.build((None, *SIZE, 1))
    seen, sense = [], network.sense

    def watched(*arguments, **options):
        seen.append(np.asarray(sense(*arguments, **options)))
        return seen[-1]

    monkeypatch.setattr(network, "sense", watched)
    images = some_images(1, "float32")
    network(images, policy=policy, num_glimpses=NUM_GLIMPSES, seed=random.make_seed(5))
    seen = np.concatenate(seen, axis=1)  # A plan that stays in one place looks once.
    seen = seen[:, np.minimum(np.arange(NUM_GLIMPSES), seen.shape[1] - 1)]
    monkeypatch.undo()
    recording = record(network, policy, images, NUM_GLIMPSES, seed=5)
    np.testing.assert_array_equal(recording["glimpses"], seen)


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
    assert plot_glimpses(recording, path, class_names, LABELS) == path
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
    assert animate_glimpses(recording, path, class_names, LABELS) == path
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
        recording = record(network, policy, dark, 1)
        path = plot_glimpses(recording, tmp_path / "a.png", names(2))
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
    recording = record(network, POLICY, some_images(1, "uint8")[:1], 1)
    for plot, name in [
        (plot_glimpses, "one.png"),
        (animate_glimpses, "one.gif"),
    ]:
        with Image.open(plot(recording, tmp_path / name, names(2))) as picture:
            picture.load()
            assert min(picture.size) > 100
        assert_file_holds(tmp_path / name, recording, None)


# Images of a model with a grid: their size and channels, and the grid.
GRID_CASES = {
    "grey, wide": ((8, 10, 1), (3, 4)),
    "colour, tall": ((12, 6, 3), (5, 2)),
    "colour, one row": ((4, 12, 3), (1, 5)),
}
GAIN_POLICY = policies.InformationGain(num_samples=2)
PLOTS = {
    "a.png": plot_glimpses,
    "a.gif": animate_glimpses,
    "b.png": plot_gain,
}


def make_pham(shape):
    network = models.PHAM(
        3,
        glimpse_size=4,
        feature_units=6,
        latent_units=5,
        hidden_units=8,
        num_flows=1,
    )
    network.build((None, *shape))
    rng = np.random.default_rng(2)
    for weight in network.trainable_weights:
        weight.assign(weight + rng.normal(0, 0.2, weight.shape))
    return network


def grid_images(shape, number=NUM_IMAGES):
    return np.random.default_rng(3).random((number, *shape), "float32")


@pytest.fixture(scope="module", params=GRID_CASES.values(), ids=GRID_CASES)
def grid_case(request):
    shape, grid = request.param
    network, images = make_pham(shape), grid_images(shape)
    recording = record(network, GAIN_POLICY, images, NUM_GLIMPSES)
    return network, images, recording, grid


@pytest.fixture
def figures(monkeypatch):
    """The figures that are written during a test."""
    written, write = [], Figure.savefig

    def keep_and_write(figure, *arguments, **options):
        written.append(figure)
        write(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep_and_write)
    return written


def panels_of(figure, recording):
    """A block an image, of two rows of axes; and the legend."""
    num_images, num_glimpses = recording["locations"].shape[:2]
    *panels, legend = figure.axes
    blocks = np.reshape(panels, (num_images, num_glimpses, 2)).swapaxes(1, 2)
    return blocks, legend


def seen_cells(recording, grid):
    """Whether a cell was seen before each choice, one glimpse at a time."""
    num_images, num_glimpses = recording["locations"].shape[:2]
    seen = np.zeros((num_images, num_glimpses - 1, *grid), bool)
    for image in range(num_images):
        for step in range(num_glimpses - 1):
            top, left, _, _ = recording["boxes"][image, step, 0]
            seen[image, step:, top // 2, left // 2] = True
    return seen


def test_a_recorded_gain_is_the_rollouts_as_a_grid(grid_case):
    network, images, recording, grid = grid_case
    seed = tf.random.experimental.stateless_fold_in(tf.zeros(2, "int32"), 0)
    result = network(images, policy=GAIN_POLICY, num_glimpses=NUM_GLIMPSES, seed=seed)
    np.testing.assert_array_equal(recording["locations"], result.locations)
    gain = recording["gain"]
    assert gain.shape == (NUM_IMAGES, NUM_GLIMPSES - 1, *grid)
    flat = gain.reshape(NUM_IMAGES, NUM_GLIMPSES - 1, -1)
    np.testing.assert_array_equal(flat, result.extras["gain"])
    np.testing.assert_array_equal(np.isneginf(gain), seen_cells(recording, grid))
    assert gain[np.isfinite(gain)].min() >= 0 and gain.max() > 0
    tops_lefts = recording["boxes"][:, 1:, 0, :2] // 2
    best = np.stack(np.unravel_index(flat.argmax(axis=-1), grid), axis=-1)
    np.testing.assert_array_equal(best, tops_lefts)


@pytest.mark.parametrize("name", PLOTS)
def test_every_picture_of_a_model_with_a_grid_has_its_data(tmp_path, grid_case, name):
    _, _, recording, _ = grid_case
    path = PLOTS[name](recording, tmp_path / "new folder" / name, names(3), LABELS)
    with Image.open(path) as picture:
        assert np.asarray(picture.convert("L"), float).std() > 10
    assert_file_holds(path, recording, LABELS)


def test_maps_show_gain_seen_cells_and_the_chosen_one(tmp_path, grid_case, figures):
    _, images, recording, grid = grid_case
    plot_gain(recording, tmp_path / "a.png", names(3), LABELS)
    blocks, _ = panels_of(figures[0], recording)
    for image, (above, below) in enumerate(blocks):
        assert above[0].get_title() == f"true: class {LABELS[image]}"
        assert len(above[0].patches) == NUM_GLIMPSES  # The boxes.
        for step, axes in enumerate(above[1:], start=1):
            gain = recording["gain"][image, step - 1]
            seen = np.isneginf(gain)
            (drawn,) = axes.images
            np.testing.assert_array_equal(drawn.get_array().mask, seen)
            np.testing.assert_array_equal(drawn.get_array().data[~seen], gain[~seen])
            assert drawn.get_clim() == (0, pytest.approx(gain.max()))
            assert axes.get_title() == f"after {step}: max {gain.max():.2g}"
            # A seen cell has a colour of its own, and a dot; so it is in the picture.
            grey = drawn.cmap(drawn.norm(drawn.get_array()))[seen]
            assert np.ptp(grey[:, :3]) == 0 and 0.5 < grey[0, 0] < 0.95
            dots = np.asarray(axes.collections[0].get_offsets())
            corner = np.round((dots[:, ::-1] + 0.5 - 2) / 2).astype(int)
            assert {*map(tuple, corner)} == {*map(tuple, np.argwhere(seen))}
            # The outline is around the largest, in the colour of the next glimpse.
            (outline,) = axes.patches
            row, column = np.unravel_index(gain.argmax(), grid)
            x, y = np.array([column, row]) * 2 + 1.5 - 1.0
            assert outline.get_bbox().bounds == pytest.approx((x, y, 2, 2))
            frame = below[step].spines["top"].get_edgecolor()
            assert outline.get_edgecolor() == frame
            # One pixel is one pixel, under the map as in the image.
            left, right, bottom, top = drawn.get_extent()
            assert (left, top) == pytest.approx((0.5, 0.5))
            assert (right - left, bottom - top) == (2 * grid[1], 2 * grid[0])
            assert axes.get_xlim() == above[0].get_xlim()
            assert axes.get_ylim() == above[0].get_ylim()


def test_glimpses_are_under_the_maps_in_order(tmp_path, grid_case, figures):
    _, images, recording, _ = grid_case
    plot_gain(recording, tmp_path / "a.png", names(3), LABELS)
    blocks, _ = panels_of(figures[0], recording)
    for image, (above, below) in enumerate(blocks):
        for step, axes in enumerate(below):
            top, left, bottom, right = recording["boxes"][image, step, 0]
            seen = images[image, top:bottom, left:right]
            shown = seen if seen.shape[-1] == 3 else seen[..., 0]
            assert_close(axes.images[0].get_array(), shown)
            belief = recording["probabilities"][image, step]
            best = int(belief.argmax())
            label = axes.xaxis.label
            assert label.get_text() == f"{step + 1}: class {best} {belief[best]:.0%}"
            right_color, wrong_color = to_rgba("#333333"), to_rgba("#d1495b")
            expected = right_color if best == LABELS[image] else wrong_color
            assert to_rgba(label.get_color()) == expected
            middle = above[step].get_position()
            assert axes.get_position().x0 >= middle.x0 - 1e-9
            assert axes.get_position().y1 < middle.y0


@pytest.mark.parametrize("num_glimpses", [2, pytest.param(7, marks=pytest.mark.slow)])
def test_nothing_overlaps_or_leaves_the_picture(tmp_path, figures, num_glimpses):
    shape = (8, 10, 3)
    images = grid_images(shape)
    recording = record(make_pham(shape), GAIN_POLICY, images, num_glimpses)
    long_names = ["a very long name of a class"] * 3
    plot_gain(recording, tmp_path / "a.png", long_names, LABELS)
    (figure,) = figures
    blocks, legend = panels_of(figure, recording)
    extents = [text.get_window_extent() for text in legend.texts]
    for axes in blocks.ravel():
        extents.append(axes.get_window_extent())
        for text in (axes.title, axes.xaxis.label):
            if text.get_text():
                extents.append(text.get_window_extent())
    for index, extent in enumerate(extents):
        assert extent.x0 >= 0 and extent.x1 <= figure.bbox.x1
        assert extent.y0 >= 0 and extent.y1 <= figure.bbox.y1
        for other in extents[:index]:
            assert not extent.overlaps(other)


def test_a_map_without_any_gain_and_one_image_can_be_drawn(tmp_path, figures):
    shape = (8, 10, 1)
    recording = record(make_pham(shape), GAIN_POLICY, grid_images(shape, 1), 2)
    recording["gain"] = np.minimum(recording["gain"], 0.0)
    path = plot_gain(recording, tmp_path / "a.png", names(3))
    assert_file_holds(path, recording, None)
    blocks, _ = panels_of(figures[0], recording)
    assert blocks[0, 0, 0].get_title() == ""
    assert blocks[0, 0, 1].get_title() == "after 1: max 0"


@pytest.mark.parametrize(
    ("policy", "num_glimpses", "advice"),
    [(policies.RandomCells(), 3, "--policy=learned"), (GAIN_POLICY, 1, "glimpses=2")],
)
def test_no_gain_is_an_input_error(tmp_path, policy, num_glimpses, advice):
    shape = (8, 10, 1)
    recording = record(make_pham(shape), policy, grid_images(shape), num_glimpses)
    assert "gain" not in recording
    with pytest.raises(InputError, match=advice) as caught:
        plot_gain(recording, tmp_path / "a.png", names(3))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


class StandInTrainer:
    def __init__(self, network, num_glimpses):
        self.attention = network
        self.num_glimpses = num_glimpses


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "tag"),
    [(GAIN_POLICY, "information_gain"), (policies.RandomCells(), "glimpses")],
)
def test_the_monitor_draws_the_gain_if_there_is_one(tmp_path, policy, tag):
    shape = (8, 10, 1)
    images = grid_images(shape)
    network = make_pham(shape)
    monitor = PolicyMonitor(
        policy,
        images,
        LABELS,
        names(3),
        tmp_path / "figures",
        tensorboard=tmp_path / "events",
    )
    monitor.set_params({"epochs": 1})
    monitor.set_model(StandInTrainer(network, 3))
    monitor.on_train_begin()
    monitor.on_epoch_end(0, {})
    recording = record(network, policy, images, 3)
    assert_file_holds(tmp_path / "figures" / "epoch_0001.png", recording, LABELS)
    kind = plot_gain if tag != "glimpses" else plot_glimpses
    expected = kind(recording, tmp_path / "expected.png", names(3), LABELS)
    drawn = tmp_path / "figures" / "epoch_0001.png"
    assert drawn.read_bytes() == expected.read_bytes()
    (events,) = (tmp_path / "events").iterdir()
    records = tf.data.TFRecordDataset(str(events)).as_numpy_iterator()
    written = [tf.compat.v1.Event.FromString(record) for record in records]
    tags = {value.tag for event in written for value in event.summary.value}
    assert tags == {tag}


@pytest.mark.slow
def test_a_picture_that_cannot_be_drawn_is_a_line_of_the_run(tmp_path):
    shape, said = (8, 10, 1), []
    folder = tmp_path / "figures"
    folder.write_text("a file in its place")
    monitor = PolicyMonitor(
        GAIN_POLICY, grid_images(shape), LABELS, names(3), folder, report=said.append
    )
    monitor.set_params({"epochs": 1})
    monitor.set_model(StandInTrainer(make_pham(shape), 3))
    monitor.on_train_begin()
    logs = {}
    monitor.on_epoch_end(0, logs)
    assert "spread" in logs
    (line,) = said
    assert line.startswith("warning: no picture after epoch 1: ") and "figures" in line


CURVES = """epoch,loss,accuracy,spread,learning_rate,val_loss,val_accuracy
0,2.0,0.25,0.1,0.001,2.5,0.2
1,1.5,0.5,,0.001,2.0,0.4
2,1.0,0.75,0.3,0.0005,1.75,0.5
"""


def test_curves_are_drawn_from_the_metrics_file_with_their_numbers_beside(tmp_path):
    (tmp_path / "metrics.csv").write_text(CURVES)
    path = tmp_path / "new folder" / "curves.png"
    assert plot_curves(tmp_path / "metrics.csv", path) == path
    with Image.open(path) as picture:
        # Four panels, three in a row.
        assert abs(picture.size[0] - 110 * 3.6 * 3) <= 1
        assert abs(picture.size[1] - 110 * 2.5 * 2) <= 1
        assert np.asarray(picture.convert("L"), float).std() > 10
    with np.load(path.with_suffix(".npz")) as file:
        assert set(file) == {"epochs", *CURVES.splitlines()[0].split(",")[1:]}
        np.testing.assert_array_equal(file["epochs"], [1, 2, 3])
        assert_close(file["val_loss"], [2.5, 2.0, 1.75])
        assert_close(file["spread"], [0.1, np.nan, 0.3])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "train for at least one epoch"),
        (CURVES.splitlines()[0] + "\n", "has no finished epoch"),
    ],
)
def test_no_finished_epoch_is_an_input_error(tmp_path, content, said):
    if content is not None:
        (tmp_path / "metrics.csv").write_text(content)
    with pytest.raises(InputError, match=said):
        plot_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()
