"""What looking was expected to tell, and what was seen."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke

from ram_tf.errors import InputError
from ram_tf.pictures.canvas import (
    GAIN_COLORS,
    INK,
    SEEN,
    draw_frame,
    draw_image,
    name_best,
    save_picture,
    show_pixels,
    step_color,
)
from ram_tf.pictures.lettering import lettering, short_name


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
                draw_image(above, recording, image, num_glimpses)
                draw_frame(above, SEEN, linewidth=0.6)
                name = (
                    "" if label is None else f"true: {short_name(class_names[label])}"
                )
            else:
                peak = _draw_gain(above, recording, image, step)
                name = f"after {step}: max {peak:.2g}"
            name, style = lettering(name)
            above.set_title(name, fontsize=7, color=INK, pad=2.5, **style)
            below = add_axes(
                left + (panel - side) / 2, top + tall + gap / 2, side, side
            )
            show_pixels(below, recording["glimpses"][image, step, 0])
            draw_frame(below, step_color(step, num_glimpses))
            probabilities = recording["probabilities"][image, step]
            number = f"{step + 1}: "
            name_best(below, probabilities, class_names, label, number)
    _draw_gain_legend(add_axes(0.0, size[1] - legend, size[0], legend), size[0])
    return save_picture(figure, path, recording, labels)


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
        cmap=GAIN_COLORS,
        vmin=0.0,
        vmax=max(peak, 1e-12),
        interpolation="nearest",
        extent=(left, right, bottom, top),
    )
    total = len(centres)
    colors = [step_color(index, total) for index in range(step)]
    axes.scatter(
        centres[:step, 1], centres[:step, 0], c=colors, s=16, edgecolors="white"
    )
    outline = Rectangle(
        (centres[step] - between / 2)[::-1],
        *between[::-1],
        fill=False,
        edgecolor=step_color(step, total),
        linewidth=1.8,
        zorder=3,
    )
    outline.set_path_effects([Stroke(linewidth=3.4, foreground="white"), Normal()])
    axes.add_patch(outline)
    axes.set_xticks(())
    axes.set_yticks(())
    axes.set_xlim(-0.5, sides[1] - 0.5)
    axes.set_ylim(sides[0] - 0.5, -0.5)
    draw_frame(axes, SEEN, linewidth=0.6)
    return peak


def _draw_gain_legend(axes, width):
    """What the colours of the maps mean; `axes` is as wide as the figure, in inches."""
    axes.axis("off")
    start, half = width / 2 - 0.35, 0.07
    axes.imshow(
        np.linspace(0, 1, 256)[None],
        cmap=GAIN_COLORS,
        extent=(start, start + 0.6, -half, half),
        aspect="auto",
    )
    axes.set_xlim(0, width)
    axes.set_ylim(-0.15, 0.15)
    seen = Rectangle((start + 1.0, -half), 2 * half, 2 * half, color=SEEN)
    chosen = Rectangle((start + 1.5, -half), 2 * half, 2 * half, fill=False)
    chosen.set(edgecolor=INK, linewidth=1.8)
    axes.add_patch(seen)
    axes.add_patch(chosen)
    write = {"va": "center_baseline", "fontsize": 7, "color": INK}
    axes.text(start - 0.05, 0, "expected gain in nats: 0", ha="right", **write)
    axes.text(start + 0.65, 0, "max", ha="left", **write)
    axes.text(start + 1.19, 0, "seen", ha="left", **write)
    axes.text(start + 1.7, 0, "next", ha="left", **write)
