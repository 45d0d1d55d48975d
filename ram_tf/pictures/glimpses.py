"""Where a model looked, what it saw there and what it thought."""

import pathlib

import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.figure import Figure

from ram_tf.pictures.canvas import (
    GAIN_COLORS,
    INK,
    draw_belief,
    draw_frame,
    draw_image,
    save_data,
    save_picture,
    seen_pixels,
    show_pixels,
    step_color,
)
from ram_tf.pictures.gain import plot_gain
from ram_tf.pictures.lettering import lettering


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
        draw_image(axes, recording, image, num_glimpses)
        label = None if labels is None else int(labels[image])
        if label is not None:
            title, style = lettering(f"true: {class_names[label]}")
            axes.set_title(title, fontsize=8, color=INK, **style)
        for step in range(num_glimpses):
            seen = figure.add_subplot(grid[3 * image, step + 1])
            _draw_glimpse(seen, recording["glimpses"][image, step])
            if "region_weights" in recording:
                _draw_weights(seen, recording["region_weights"][image, step])
            draw_frame(seen, step_color(step, num_glimpses))
            belief = figure.add_subplot(grid[3 * image + 1, step + 1])
            draw_belief(
                belief, recording["probabilities"][image, step], class_names, label
            )
    return save_picture(figure, path, recording, labels)


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
                draw_image(whole, recording, image, step + 1)
                show_pixels(seen, seen_pixels(recording, image, step + 1))
                draw_frame(seen, "#cccccc")
                probabilities = recording["probabilities"][image, step]
                draw_belief(belief, probabilities, class_names, label)
            figure.suptitle(
                f"glimpse {step + 1} of {num_glimpses}", fontsize=10, color=INK
            )
            writer.grab_frame()
    save_data(path, recording, labels)
    return path


def _draw_glimpse(axes, glimpse):
    """All scales side by side, stretched to the range that they have together."""
    low, high = glimpse.min(), glimpse.max()
    scales = list((glimpse - low) / max(high - low, 1e-6))
    gap = np.full((glimpse.shape[1], 1, glimpse.shape[-1]), 0.5)
    parts = [part for scale in scales for part in (gap, scale)][1:]
    show_pixels(axes, np.concatenate(parts, axis=1))


def _draw_weights(axes, weights):
    corner = axes.inset_axes([0.02, 0.02, 0.24, 0.24])
    corner.imshow(weights, cmap=GAIN_COLORS, vmin=0.0, vmax=1.0)
    corner.set_xticks(())
    corner.set_yticks(())
    draw_frame(corner, "white", linewidth=0.8)
