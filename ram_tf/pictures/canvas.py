"""What every picture is made of: colours, images, frames, and the numbers beside it."""

import pathlib

import numpy as np
from matplotlib import colormaps
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from ram_tf.pictures.lettering import lettering, short_name

INK = "#333333"


BAR = "#b8c4cc"


BEST = "#d1495b"


MOST_BARS = 20


SEEN = "#d4d4d4"


GAIN_COLORS = colormaps["viridis"].with_extremes(bad=SEEN)


def draw_image(axes, recording, image, num_steps):
    """The whole image with the first `num_steps` glimpses' boxes and their path."""
    show_pixels(axes, recording["images"][image])
    total = recording["locations"].shape[1]
    ratio = pixels_to_one(recording, image)
    height, width = recording["images"].shape[1:3]
    if "sizes" in recording:
        height, width = recording["sizes"][image] / ratio
        draw_scale_bar(axes, recording, image)
    boxes = recording["boxes"][image, :num_steps] / ratio
    for step, scales in enumerate(boxes):
        color = step_color(step, total)
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
    axes.plot(centres[:, 1], centres[:, 0], color=INK, linewidth=0.7)
    colors = [step_color(step, total) for step in range(num_steps)]
    axes.scatter(
        centres[:, 1], centres[:, 0], c=colors, s=14, edgecolors="white", zorder=3
    )
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)


def pixels_to_one(recording, image):
    """How many pixels of an image are one of its picture: 1 of what is drawn whole."""
    if "sizes" not in recording:
        return 1.0
    longest = int(recording["sizes"][image].max())
    return max(longest / recording["images"].shape[1], 1.0)


def draw_scale_bar(axes, recording, image):
    """Draws a bar of a round length: micrometres where they are known, else pixels."""
    height, width = recording["sizes"][image]
    micrometres = recording["micrometres"][image]
    ratio = pixels_to_one(recording, image)
    unit, known = ("px", 1.0) if np.isnan(micrometres) else ("µm", micrometres)
    length = round_length(width * known / 3)
    bar = length / known / ratio
    left, bottom = 0.04 * width / ratio, 0.95 * height / ratio
    line = axes.plot([left, left + bar], [bottom, bottom], color="white", linewidth=2.5)
    name = f"{length:,.0f} {unit}"
    if unit == "µm" and length >= 1000:
        name = f"{length / 1000:g} mm"
    text = axes.text(
        left, 0.93 * height / ratio, name, color="white", fontsize=7, va="bottom"
    )
    outline = [withStroke(linewidth=2.5, foreground=INK)]
    text.set_path_effects(outline)
    line[0].set_path_effects([withStroke(linewidth=4, foreground=INK)])


def round_length(most):
    """Returns the largest of 1, 2, 5, 10, 20, ... that is `most` or less."""
    power = 10.0 ** np.floor(np.log10(most))
    return float(power * max(each for each in (1, 2, 5) if each * power <= most))


def draw_belief(axes, probabilities, class_names, label):
    """Draws the class probabilities as bars, or names the best of many."""
    best = int(probabilities.argmax())
    if len(probabilities) <= MOST_BARS:
        colors = [BEST if i == best else BAR for i in range(len(probabilities))]
        axes.bar(range(len(probabilities)), probabilities, color=colors, width=0.8)
        axes.set_ylim(0, 1)
        axes.set_xticks(())
        axes.set_yticks(())
        axes.spines[["top", "right", "left"]].set_visible(False)
    else:
        axes.axis("off")
    name_best(axes, probabilities, class_names, label)
    if len(probabilities) > MOST_BARS:
        top = np.argsort(probabilities)[::-1][:3]
        lines = [f"{class_names[i]} {probabilities[i]:.0%}" for i in top]
        text, style = lettering(*lines)
        axes.text(0.5, 0.9, text, ha="center", va="top", fontsize=6, color=INK, **style)


def name_best(axes, probabilities, class_names, label, number=""):
    """Writes the most probable class below, in red if it is wrong."""
    best = int(probabilities.argmax())
    right = label is None or best == label
    text, style = lettering(
        f"{number}{short_name(class_names[best])} {probabilities[best]:.0%}"
    )
    color = INK if right else BEST
    axes.set_xlabel(text, fontsize=7, labelpad=1.5, color=color, **style)


def seen_pixels(recording, image, num_steps):
    """The image inside the finest boxes, dimmed inside wider ones, grey elsewhere."""
    pixels = recording["images"][image]
    clarity = np.zeros(pixels.shape[:2])
    boxes = recording["boxes"][image, :num_steps] / pixels_to_one(recording, image)
    # At least a pixel of the picture, however small the box is.
    low, high = np.floor(boxes[..., :2]), np.ceil(boxes[..., 2:])
    for scales in np.concatenate([low, high], axis=-1).astype(int):
        for scale, box in reversed(list(enumerate(scales))):
            top, left, bottom, right = np.maximum(box, 0)
            area = clarity[top:bottom, left:right]
            np.maximum(area, 1.0 if scale == 0 else 0.35, out=area)
    clarity = clarity[..., None]
    return pixels * clarity + 0.75 * (1 - clarity)


def show_pixels(axes, pixels):
    """Shows pixels in [0, 1] without axes."""
    colour = pixels.shape[-1] in (3, 4)  # Any other number is shown as its mean.
    shown = pixels[..., :3] if colour else pixels.mean(axis=-1)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1)
    axes.set_xticks(())
    axes.set_yticks(())


def draw_frame(axes, color, linewidth=2):
    """Gives axes a frame of a colour."""
    for spine in axes.spines.values():
        spine.set_edgecolor(color)
        spine.set_linewidth(linewidth)


def step_color(step, num_steps):
    """Returns the colour of a glimpse."""
    return colormaps["plasma"](0.1 + 0.8 * step / max(num_steps - 1, 1))


def save_picture(figure, path, data, labels=None):
    """Writes a figure, and the numbers behind it beside it; returns its path."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    save_data(path, data, labels)
    return path


def save_data(path, data, labels):
    """Writes the numbers behind a picture as `.npz` beside it."""
    extra = {} if labels is None else {"labels": np.asarray(labels)}
    np.savez_compressed(path.with_suffix(".npz"), **data, **extra)
