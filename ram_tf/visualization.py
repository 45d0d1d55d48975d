"""Pictures: where a model looked, what it saw there, what it thought; training curves.

Every picture is written with the numbers behind it: `x.png` beside `x.npz`.
"""

import csv
import pathlib

import numpy as np
from matplotlib import colormaps
from matplotlib.animation import PillowWriter
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import MaxNLocator

from ram_tf import random
from ram_tf.errors import InputError

_INK = "#333333"
_BAR, _BEST = "#b8c4cc", "#d1495b"
_MOST_BARS = 20
_SEEN = "#d4d4d4"
_GAIN_COLORS = colormaps["viridis"].with_extremes(bad=_SEEN)


def record(network, policy, images, num_glimpses, seed=0):
    """Looks at images and keeps what is needed to draw it.

    Args:
        network: A built `AttentionModel`.
        policy: Where to look.
        images: Array `(images, height, width, channels)`, uint8 or float in [0, 1].
        num_glimpses: Int.
        seed: Int.

    Returns:
        Dictionary of arrays: `images` as floats in [0, 1]; `locations` `(n, T, 2)`;
        `boxes` `(n, T, scales, 4)` in pixels; `probabilities` `(n, T, classes)`;
        `glimpses` `(n, T, scales, side, side, channels)`, as floats in [0, 1] but for
        what a sensor adds outside the image; of a policy that predicts one, `gain` `(n,
        T - 1, rows, columns)`, the expected information gain of each cell in nats,
        minus infinity where seen; of one that weighs regions of a context,
        `region_weights` `(n, T, rows, columns)`.
    """
    images = np.asarray(images)
    seed = random.make_seed(seed)
    result = network(images, policy=policy, num_glimpses=num_glimpses, seed=seed)
    context = network.prepare(images)
    glimpses = _sense_again(network, policy, context, result.locations, seed)
    logits = np.asarray(result.logits, "float64")
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    pixels = images / 255.0 if images.dtype == np.uint8 else images
    recording = {
        "images": np.clip(pixels, 0.0, 1.0).astype("float32"),
        "locations": np.asarray(result.locations),
        "boxes": np.asarray(network.glimpse_boxes(result.locations, images.shape[1:3])),
        "probabilities": exponentials / exponentials.sum(axis=-1, keepdims=True),
        "glimpses": np.asarray(network.denormalize(glimpses), "float32"),
    }
    if "gain" in result.extras:
        gain = np.asarray(result.extras["gain"], "float32")
        recording["gain"] = gain.reshape(*gain.shape[:2], *network.grid)
    if "region_weights" in result.extras:
        weights = np.asarray(result.extras["region_weights"], "float32")
        side = round(weights.shape[-1] ** 0.5)
        recording["region_weights"] = weights.reshape(*weights.shape[:2], side, side)
    return recording


def _sense_again(network, policy, context, locations, seed):
    """The glimpses of a rollout, with the noise that its sensor drew from `seed`."""
    num_glimpses = locations.shape[1]
    seeds = random.rollout_seeds(seed, num_glimpses)
    state = network.initial_state(context)
    plan = policy.plan(network, context, state, num_glimpses, seeds.start)
    # All places of a plan are sensed at once, and what is looked at again is not.
    num_seen = num_glimpses if plan is None else plan.shape[1]
    at_once = 1 if plan is None else num_seen
    glimpses = [
        np.asarray(
            network.sense(
                context, locations[:, first : first + at_once], seed=seeds.sense[first]
            )
        )
        for first in range(0, num_seen, at_once)
    ]
    glimpses = np.concatenate(glimpses, axis=1)
    return glimpses[:, np.minimum(np.arange(num_glimpses), num_seen - 1)]


def plot_recording(recording, path, class_names, labels=None):
    """Draws a recording with what its policy gives: `plot_gain` or `plot_glimpses`."""
    plot = plot_gain if "gain" in recording else plot_glimpses
    plot(recording, path, class_names, labels)


def plot_glimpses(recording, path, class_names, labels=None):
    """Draws one row an image: boxes and path on it, then each glimpse and the belief.

    In the corner of a glimpse, the weights of the context's regions that led there.

    Args:
        recording: What `record` returned.
        path: Where to write the picture; its data go beside it as `.npz`.
        class_names: Sequence of strings.
        labels: Int array `(n,)` or `None`.
    """
    num_images, num_glimpses = recording["locations"].shape[:2]
    row = 2.2
    figure = Figure(figsize=(2.3 + 1.25 * num_glimpses, row * num_images), dpi=110)
    grid = figure.add_gridspec(
        3 * num_images,  # Glimpse, belief, and room for the next row's title.
        num_glimpses + 1,
        width_ratios=[1.9] + [1] * num_glimpses,
        height_ratios=[1.15, 0.7, 0.2] * num_images,
        hspace=0.1,
        wspace=0.12,
        left=0.01,
        right=0.99,
        top=1 - 0.22 / (row * num_images),
        bottom=0.0,
    )
    for image in range(num_images):
        axes = figure.add_subplot(grid[3 * image : 3 * image + 2, 0])
        _draw_image(axes, recording, image, num_glimpses)
        label = None if labels is None else int(labels[image])
        if label is not None:
            axes.set_title(f"true: {class_names[label]}", fontsize=8, color=_INK)
        for step in range(num_glimpses):
            seen = figure.add_subplot(grid[3 * image, step + 1])
            _draw_glimpse(seen, recording["glimpses"][image, step])
            if "region_weights" in recording:
                _draw_weights(seen, recording["region_weights"][image, step])
            _frame(seen, _step_color(step, num_glimpses))
            belief = figure.add_subplot(grid[3 * image + 1, step + 1])
            _draw_belief(
                belief, recording["probabilities"][image, step], class_names, label
            )
    return _save(figure, path, recording, labels)


def plot_gain(recording, path, class_names, labels=None):
    """Draws two rows an image: what looking was expected to tell, and what was seen.

    Above, the boxes on the image and the expected information gain of all cells after
    each glimpse but the last. Below, the glimpses, each under the map that chose it,
    and the most probable class.

    Arguments are those of `plot_glimpses`.

    Raises:
        InputError: If the policy predicted no gain.
    """
    num_images, num_glimpses = recording["locations"].shape[:2]
    if num_glimpses < 2:
        raise InputError(
            "no gain is predicted after the last glimpse: look at least twice "
            "(--num_glimpses=2)."
        )
    if "gain" not in recording:
        raise InputError(
            "this policy predicts no gain: use one of one_sample, oracle, or "
            "--policy=learned of a pham model that is past its first phase."
        )
    height, width = recording["images"].shape[1:3]
    panel, gap, title, foot, legend = 1.2, 0.1, 0.2, 0.2, 0.3  # Inches.
    tall = panel * np.clip(height / width, 0.5, 2.0)
    side = min(tall, panel * 0.8)
    block = title + tall + gap / 2 + side + foot
    columns = num_glimpses * (panel + gap) + gap
    size = np.array([max(columns, 3.6), block * num_images + legend])
    figure = Figure(figsize=size, dpi=150)

    def add_axes(left, top, width, height):
        corner = left, size[1] - top - height
        return figure.add_axes((*(corner / size), *((width, height) / size)))

    for image in range(num_images):
        top = image * block + title
        label = None if labels is None else int(labels[image])
        for step in range(num_glimpses):
            left = (size[0] - columns) / 2 + gap + step * (panel + gap)
            above = add_axes(left, top, panel, tall)
            if step == 0:
                _draw_image(above, recording, image, num_glimpses)
                _frame(above, _SEEN, linewidth=0.6)
                name = "" if label is None else f"true: {_short(class_names[label])}"
            else:
                peak = _draw_gain(above, recording, image, step)
                name = f"after {step}: max {peak:.2g}"
            above.set_title(name, fontsize=7, color=_INK, pad=2.5)
            below = add_axes(
                left + (panel - side) / 2, top + tall + gap / 2, side, side
            )
            _show(below, recording["glimpses"][image, step, 0])
            _frame(below, _step_color(step, num_glimpses))
            probabilities = recording["probabilities"][image, step]
            number = f"{step + 1}: "
            _name_best(below, probabilities, class_names, label, number)
    _draw_gain_legend(add_axes(0.0, size[1] - legend, size[0], legend), size[0])
    return _save(figure, path, recording, labels)


def animate_glimpses(recording, path, class_names, labels=None):
    """Writes an animated GIF: the boxes arrive one by one, the belief follows.

    Arguments are those of `plot_glimpses`.
    """
    num_images, num_glimpses = recording["locations"].shape[:2]
    figure = Figure(figsize=(1.7 * num_images, 4.6), dpi=90)
    grid = figure.add_gridspec(
        3,
        num_images,
        height_ratios=[1.7, 1.7, 1],
        hspace=0.12,
        wspace=0.08,
        left=0.02,
        right=0.98,
        top=0.93,
        bottom=0.06,
    )
    panels = np.array(
        [[figure.add_subplot(grid[r, c]) for c in range(num_images)] for r in range(3)]
    )
    writer = PillowWriter(fps=1.5)
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with writer.saving(figure, str(path), dpi=90):
        for step in [*range(num_glimpses), num_glimpses - 1]:
            for image in range(num_images):
                whole, seen, belief = panels[:, image]
                label = None if labels is None else int(labels[image])
                for axes in (whole, seen, belief):
                    axes.clear()
                _draw_image(whole, recording, image, step + 1)
                _show(seen, _seen_pixels(recording, image, step + 1))
                _frame(seen, "#cccccc")
                probabilities = recording["probabilities"][image, step]
                _draw_belief(belief, probabilities, class_names, label)
            figure.suptitle(
                f"glimpse {step + 1} of {num_glimpses}", fontsize=10, color=_INK
            )
            writer.grab_frame()
    _save_data(path, recording, labels)
    return path


def plot_curves(metrics_csv, path):
    """Draws every pair of training and validation curves of a `metrics.csv`."""
    try:
        with open(metrics_csv, newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InputError(
            f"no metrics to draw at {metrics_csv}: train for at least one epoch first."
        ) from error
    if not rows:
        raise InputError(f"{metrics_csv} has no finished epoch to draw yet.")
    columns = {
        name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]
    }
    epochs = columns.pop("epoch") + 1
    names = [name for name in columns if not name.startswith("val_")]
    width = min(3, len(names))
    height = -(-len(names) // width)
    figure = Figure(figsize=(3.6 * width, 2.5 * height), dpi=110, layout="constrained")
    for index, name in enumerate(names):
        axes = figure.add_subplot(height, width, index + 1)
        axes.plot(epochs, columns[name], color=_INK, label="training")
        if f"val_{name}" in columns:
            values = columns[f"val_{name}"]
            axes.plot(epochs, values, color=_BEST, label="validation")
            axes.legend(fontsize=7, frameon=False)
        axes.set_title(name.replace("_", " "), fontsize=9, color=_INK)
        axes.set_xlabel("epoch", fontsize=7)
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    return _save(figure, path, {"epochs": epochs, **columns})


def plot_lines(curves, path, x_label, y_label, *, x_scale="linear"):
    """Draws curves, each the mean over runs with its standard error around it.

    Args:
        curves: Dictionary: name -> `(x, ys)`, arrays `(points,)` and `(runs, points)`.
        path: Where to write the picture; its data go beside it as `.npz`.
        x_label: String.
        y_label: String.
        x_scale: `"linear"` or `"log"`.
    """
    figure = Figure(figsize=(6.4, 4.0), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale(x_scale)
    data = {}
    for name, (x, ys) in curves.items():
        x, ys = np.asarray(x), np.atleast_2d(ys)
        mean, label = ys.mean(axis=0), name
        if len(ys) > 1:
            label += f", ± standard error of {len(ys)} runs"
        (line,) = axes.plot(x, mean, marker="o", markersize=3, label=label)
        if len(ys) > 1:
            error = ys.std(axis=0, ddof=1) / np.sqrt(len(ys))
            low, high = mean - error, mean + error
            axes.fill_between(x, low, high, color=line.get_color(), alpha=0.2, lw=0)
        data |= {f"{name} x": x, f"{name} y": ys}
    axes.set_xlabel(x_label, fontsize=9)
    axes.set_ylabel(y_label, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.legend(fontsize=8, frameon=False)
    return _save(figure, path, data)


def _draw_image(axes, recording, image, num_steps):
    """The whole image with the first `num_steps` glimpses' boxes and their path."""
    _show(axes, recording["images"][image])
    total = recording["locations"].shape[1]
    height, width = recording["images"].shape[1:3]
    boxes = recording["boxes"][image, :num_steps]
    for step, scales in enumerate(boxes):
        color = _step_color(step, total)
        for scale, (top, left, bottom, right) in enumerate(scales):
            axes.add_patch(
                Rectangle(
                    (left - 0.5, top - 0.5),
                    right - left,
                    bottom - top,
                    fill=False,
                    edgecolor=color,
                    linewidth=1.6 if scale == 0 else 0.7,
                    alpha=1.0 if scale == 0 else 0.55,
                    clip_on=True,
                )
            )
    centres = (boxes[:, 0, :2] + boxes[:, 0, 2:]) / 2 - 0.5
    axes.plot(centres[:, 1], centres[:, 0], color="white", linewidth=1.8, alpha=0.7)
    axes.plot(centres[:, 1], centres[:, 0], color=_INK, linewidth=0.7)
    colors = [_step_color(step, total) for step in range(num_steps)]
    axes.scatter(
        centres[:, 1], centres[:, 0], c=colors, s=14, edgecolors="white", zorder=3
    )
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)


def _draw_glimpse(axes, glimpse):
    """All scales side by side, stretched to the range that they have together."""
    low, high = glimpse.min(), glimpse.max()
    scales = list((glimpse - low) / max(high - low, 1e-6))
    gap = np.full((glimpse.shape[1], 1, glimpse.shape[-1]), 0.5)
    parts = [part for scale in scales for part in (gap, scale)][1:]
    _show(axes, np.concatenate(parts, axis=1))


def _draw_weights(axes, weights):
    corner = axes.inset_axes([0.02, 0.02, 0.24, 0.24])
    corner.imshow(weights, cmap=_GAIN_COLORS, vmin=0.0, vmax=1.0)
    corner.set_xticks(())
    corner.set_yticks(())
    _frame(corner, "white", linewidth=0.8)


def _draw_belief(axes, probabilities, class_names, label):
    best = int(probabilities.argmax())
    if len(probabilities) <= _MOST_BARS:
        colors = [_BEST if i == best else _BAR for i in range(len(probabilities))]
        axes.bar(range(len(probabilities)), probabilities, color=colors, width=0.8)
        axes.set_ylim(0, 1)
        axes.set_xticks(())
        axes.set_yticks(())
        axes.spines[["top", "right", "left"]].set_visible(False)
    else:
        axes.axis("off")
    _name_best(axes, probabilities, class_names, label)
    if len(probabilities) > _MOST_BARS:
        top = np.argsort(probabilities)[::-1][:3]
        text = "\n".join(f"{class_names[i]} {probabilities[i]:.0%}" for i in top)
        axes.text(0.5, 0.9, text, ha="center", va="top", fontsize=6, color=_INK)


def _name_best(axes, probabilities, class_names, label, number=""):
    """Writes the most probable class below, in red if it is wrong."""
    best = int(probabilities.argmax())
    right = label is None or best == label
    axes.set_xlabel(
        f"{number}{_short(class_names[best])} {probabilities[best]:.0%}",
        fontsize=7,
        labelpad=1.5,
        color=_INK if right else _BEST,
    )


def _short(name):
    return name if len(name) <= 14 else f"{name[:13]}…"


def _draw_gain(axes, recording, image, step):
    """The gain of each cell after `step` glimpses, where the image has that cell.

    Cells overlap: each is drawn around its centre, as far as halfway to the next.

    Returns:
        The largest gain in nats.
    """
    gain = recording["gain"][image, step - 1]
    finite = gain[np.isfinite(gain)]
    peak = float(finite.max(initial=0.0))
    sides = np.array(recording["images"].shape[1:3])
    boxes = recording["boxes"][image, :, 0]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 - 0.5
    patch = boxes[0, 2:] - boxes[0, :2]
    counts = np.array(gain.shape)
    between = np.where(
        counts > 1, (sides - patch) / np.maximum(counts - 1, 1), patch / 2
    )
    top, left = (patch - between) / 2 - 0.5
    bottom, right = (top, left) + between * counts
    axes.imshow(
        np.ma.masked_invalid(gain),
        cmap=_GAIN_COLORS,
        vmin=0.0,
        vmax=max(peak, 1e-12),
        interpolation="nearest",
        extent=(left, right, bottom, top),
    )
    total = len(centres)
    colors = [_step_color(index, total) for index in range(step)]
    axes.scatter(
        centres[:step, 1], centres[:step, 0], c=colors, s=16, edgecolors="white"
    )
    outline = Rectangle(
        (centres[step] - between / 2)[::-1],
        *between[::-1],
        fill=False,
        edgecolor=_step_color(step, total),
        linewidth=1.8,
        zorder=3,
    )
    outline.set_path_effects([Stroke(linewidth=3.4, foreground="white"), Normal()])
    axes.add_patch(outline)
    axes.set_xticks(())
    axes.set_yticks(())
    axes.set_xlim(-0.5, sides[1] - 0.5)
    axes.set_ylim(sides[0] - 0.5, -0.5)
    _frame(axes, _SEEN, linewidth=0.6)
    return peak


def _draw_gain_legend(axes, width):
    """What the colours of the maps mean; `axes` is as wide as the figure, in inches."""
    axes.axis("off")
    start, half = width / 2 - 0.35, 0.07
    axes.imshow(
        np.linspace(0, 1, 256)[None],
        cmap=_GAIN_COLORS,
        extent=(start, start + 0.6, -half, half),
        aspect="auto",
    )
    axes.set_xlim(0, width)
    axes.set_ylim(-0.15, 0.15)
    seen = Rectangle((start + 1.0, -half), 2 * half, 2 * half, color=_SEEN)
    chosen = Rectangle((start + 1.5, -half), 2 * half, 2 * half, fill=False)
    chosen.set(edgecolor=_INK, linewidth=1.8)
    axes.add_patch(seen)
    axes.add_patch(chosen)
    write = {"va": "center_baseline", "fontsize": 7, "color": _INK}
    axes.text(start - 0.05, 0, "expected gain in nats: 0", ha="right", **write)
    axes.text(start + 0.65, 0, "max", ha="left", **write)
    axes.text(start + 1.19, 0, "seen", ha="left", **write)
    axes.text(start + 1.7, 0, "next", ha="left", **write)


def _seen_pixels(recording, image, num_steps):
    """The image inside the finest boxes, dimmed inside wider ones, grey elsewhere."""
    pixels = recording["images"][image]
    clarity = np.zeros(pixels.shape[:2])
    for scales in recording["boxes"][image, :num_steps]:
        for scale, box in reversed(list(enumerate(scales))):
            top, left, bottom, right = np.maximum(box, 0)
            area = clarity[top:bottom, left:right]
            np.maximum(area, 1.0 if scale == 0 else 0.35, out=area)
    clarity = clarity[..., None]
    return pixels * clarity + 0.75 * (1 - clarity)


def _show(axes, pixels):
    colour = pixels.shape[-1] in (3, 4)  # Any other number is shown as its mean.
    shown = pixels[..., :3] if colour else pixels.mean(axis=-1)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1)
    axes.set_xticks(())
    axes.set_yticks(())


def _frame(axes, color, linewidth=2):
    for spine in axes.spines.values():
        spine.set_edgecolor(color)
        spine.set_linewidth(linewidth)


def _step_color(step, num_steps):
    return colormaps["plasma"](0.1 + 0.8 * step / max(num_steps - 1, 1))


def _save(figure, path, data, labels=None):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    _save_data(path, data, labels)
    return path


def _save_data(path, data, labels):
    extra = {} if labels is None else {"labels": np.asarray(labels)}
    np.savez_compressed(path.with_suffix(".npz"), **data, **extra)
