"""Curves of training, and of anything against anything."""

import csv

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ram_tf.errors import InputError
from ram_tf.pictures.canvas import BEST, INK, save_picture
from ram_tf.pictures.lettering import lettering, readable


def plot_curves(metrics_csv, path):
    """Draws every pair of training and validation curves of a `metrics.csv`."""
    try:
        with open(metrics_csv, newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError as error:
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
        axes.plot(epochs, columns[name], color=INK, label="training")
        if f"val_{name}" in columns:
            values = columns[f"val_{name}"]
            axes.plot(epochs, values, color=BEST, label="validation")
            axes.legend(fontsize=7, frameon=False)
        title, style = lettering(name.replace("_", " "))
        axes.set_title(title, fontsize=9, color=INK, **style)
        axes.set_xlabel("epoch", fontsize=7)
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    return save_picture(figure, path, {"epochs": epochs, **columns})


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
    data, lines, labels = {}, [], []
    for name, (x, ys) in curves.items():
        x, ys = np.asarray(x), np.atleast_2d(ys)
        mean, label = ys.mean(axis=0), name
        if len(ys) > 1:
            label += f", ± standard error of {len(ys)} runs"
        (line,) = axes.plot(x, mean, marker="o", markersize=3)
        lines.append(line)
        labels.append(label)
        if len(ys) > 1:
            error = ys.std(axis=0, ddof=1) / np.sqrt(len(ys))
            low, high = mean - error, mean + error
            axes.fill_between(x, low, high, color=line.get_color(), alpha=0.2, lw=0)
        key = readable(name)
        data |= {f"{key} x": x, f"{key} y": ys}
    for write, label in ((axes.set_xlabel, x_label), (axes.set_ylabel, y_label)):
        text, style = lettering(label)
        write(text, fontsize=9, **style)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.5)
    # Numbers first: a legend passes over labels that begin with an underscore.
    legend = axes.legend(lines, range(len(lines)), fontsize=8, frameon=False)
    for entry, label in zip(legend.get_texts(), labels):
        text, style = lettering(label)
        entry.set(text=text, **style)
    return save_picture(figure, path, data)
