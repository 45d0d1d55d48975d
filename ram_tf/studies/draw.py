"""Pictures of a trained workdir."""

import pathlib

import numpy as np
from matplotlib.backend_bases import FigureCanvasBase

from ram_tf import pretrained
from ram_tf.data import Notes
from ram_tf.data.windows import Windows, open_reader
from ram_tf.errors import InputError
from ram_tf.experiment.restore import load_data_for, read_image, restore, run_folder
from ram_tf.pictures.curves import plot_curves
from ram_tf.pictures.gain import plot_gain
from ram_tf.pictures.glimpses import animate_glimpses, plot_glimpses
from ram_tf.pictures.record import record


# The options of a command, by name.
def draw(
    workdir,
    kind,
    output,
    *,
    images=None,
    num_images=6,
    num_glimpses=None,
    policy=None,
    checkpoint="best",
    datapath=None,
    report=print,
):
    """Writes a picture of `kind` `"glimpses"`, `"animation"`, `"eig"` or `"curves"`.

    Args:
        workdir: Folder of a run.
        kind: What to draw.
        output: Path of the picture.
        images: Paths of image files, or `None` for the first test images.
        num_images: Int, how many of those.
        num_glimpses: Int or `None`, as trained.
        policy: Name of the policy that looks, or `None`, the one the family shows.
        checkpoint: See `restore`.
        datapath: Where the data are, or `None`, as trained.
        report: Function of one line of text.
    """
    check_picture_name(output, [".gif"] if kind == "animation" else None)
    if kind == "curves":
        folder = run_folder(pretrained.locate(workdir))
        plot_curves(folder / "metrics.csv", output)
    else:
        trained = restore(workdir, checkpoint)
        chosen = trained.pick(policy)
        if images and None in trained.image_shape:
            options = {
                "channels": trained.image_shape[-1],
                "value_range": trained.value_range,
            }
            windows = Windows([open_reader(path, **options) for path in images])
            trained.network.look_into(windows)
            pixels, labels = np.arange(len(images), dtype=np.int32), None
        elif images:
            notes = Notes()
            pixels = np.stack([read_image(path, trained, notes) for path in images])
            for line in notes.lines():
                report(line)
            labels = None
        else:
            dataset = load_data_for(trained, datapath, report)
            pixels, labels = dataset.some("test", num_images)
        recording = record(
            trained.network,
            chosen,
            pixels,
            num_glimpses or trained.config.train.num_glimpses,
        )
        plot = {
            "glimpses": plot_glimpses,
            "animation": animate_glimpses,
            "eig": plot_gain,
        }[kind]
        plot(recording, output, trained.class_names, labels)
    report(f"wrote {output}, and its numbers beside it as .npz")


def check_picture_name(path, known=None):
    """Refuses a path whose ending names no format of pictures."""
    known = known or [f".{name}" for name in FigureCanvasBase.get_supported_filetypes()]
    known = sorted(known)
    if pathlib.Path(path).suffix.lower() not in known:
        raise InputError(
            f"cannot write a picture to {str(path)!r}: expected a name ending in one "
            f"of {', '.join(known)}."
        )
