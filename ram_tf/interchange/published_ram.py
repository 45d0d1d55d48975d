"""Weights of the published RAM code, in PyTorch, as workdirs of ours."""

import copy
import pathlib

import numpy as np

from ram_tf import experiment
from ram_tf.errors import InputError
from ram_tf.files import write_json
from ram_tf.interchange.torch_checkpoint import find_weights, read_torch_checkpoint
from ram_tf.models import ActiveRAM
from ram_tf.training.checkpointing import save_checkpoint

# What the published code subtracts from pixels and divides them by.
PIXEL_MEAN, PIXEL_STDDEV = 0.1307, 0.3081
_CLASS_NAMES = tuple("0123456789")
_IMAGE_SHAPE = (28, 28, 1)


# The options of a command, by name.
def import_ram(
    checkpoint,
    workdir,
    config,
    *,
    stddev,
    num_scales=1,
    scale_factor=2,
    report=print,
):
    """Turns a checkpoint of the published PyTorch RAM into a workdir.

    Widths are read from the weights. The workdir can be evaluated, drawn, exported, and
    trained on from (`--pretrain_checkpoint`), but has no optimizer to resume.

    Args:
        checkpoint: Path of the `.pth.tar` file.
        workdir: Folder to write, which must not exist.
        config: `ConfigDict` of RAM or active RAM on MNIST; what it says of the model
            and of the first glimpse becomes what was published.
        stddev: Float. The policy's sigma, which the weights do not hold.
        num_scales: Int. Patches of a glimpse.
        scale_factor: Number. Ratio of the sides of neighbouring patches.
        report: Function of one line of text.
    """
    workdir = pathlib.Path(workdir)
    if workdir.exists():
        raise InputError(f"{workdir} exists: give a new folder.")
    if config.family not in ("ram", "active_ram") or config.data.name != "mnist":
        raise InputError(
            f"the config is of {config.family} on {config.data.name}: the published "
            "weights are of ram or active_ram on mnist."
        )
    weights = find_weights(read_torch_checkpoint(checkpoint, report))
    config = copy.deepcopy(config)
    try:
        _describe_model(config, weights, stddev, num_scales, scale_factor)
        network = experiment.build_network(config, _IMAGE_SHAPE, len(_CLASS_NAMES))
        load_published(network, weights)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{str(checkpoint)!r} does not hold the weights of the published RAM with "
            f"28x28 grey images and 10 classes: {error}."
        ) from error
    write_json(workdir / "config.json", config.to_dict())
    write_json(
        workdir / "dataset.json",
        {"class_names": _CLASS_NAMES, "image_shape": _IMAGE_SHAPE},
    )
    state = {"step": 0, "history": [], "best": None, "source": str(checkpoint)}
    save_checkpoint(workdir / "checkpoints" / "best", network, None, state)
    sides = " and ".join(f"{side}x{side}" for side in network.glimpse_sides)
    report(
        f"wrote {workdir}: {network.count_params():,} parameters, glimpses of {sides} "
        f"pixels, sigma {stddev:g}"
    )


def load_published(network, weights):
    """Assigns published weights, name -> array, to a built RAM of their sizes."""
    table = list(published_weights(network))
    names = {name for name, *_ in table}
    if names != set(weights):
        raise ValueError(
            f"its weights differ in {', '.join(sorted(names ^ set(weights)))}"
        )
    for name, variable, convert in table:
        variable.assign(convert(weights[name]))


def published_weights(network):
    """Yields (published name, our variable, converter of the published array)."""
    glimpse, core = network.glimpse_network, network.core
    size, num_scales = network.retina.size, len(network.retina.patch_sides)

    def pixels_last(weight):  # (out, scale, channel, row, column) -> (in, out)
        shape = (len(weight), num_scales, -1, size, size)
        weight = np.moveaxis(weight.reshape(shape), 2, -1)
        return weight.reshape(len(weight), -1).T

    dense = {
        "sensor.fc2": glimpse.location_hidden,
        "sensor.fc3": glimpse.glimpse_output,
        "sensor.fc4": glimpse.location_output,
        "rnn.i2h": core.input_map,
        "rnn.h2h": core.hidden_map,
        "classifier.fc": network.classifier,
        "baseliner.fc": network.baseline.value,
    }
    if network.location.hidden is None:
        dense["locator.fc"] = network.location.mean
    else:
        dense["locator.fc"] = network.location.hidden
        dense["locator.fc_lt"] = network.location.mean
    if isinstance(network, ActiveRAM):
        dense["uncertain_classifier.fc"] = network.error_head
    yield "sensor.fc1.weight", glimpse.glimpse_hidden.kernel, pixels_last
    yield "sensor.fc1.bias", glimpse.glimpse_hidden.bias, np.asarray
    for name, layer in dense.items():
        yield f"{name}.weight", layer.kernel, np.transpose
        yield f"{name}.bias", layer.bias, np.asarray


def _describe_model(config, weights, stddev, num_scales, scale_factor):
    """Fills the model section with the sizes of the weights."""
    glimpse_units, inputs = weights["sensor.fc1.weight"].shape
    units, _ = weights["rnn.h2h.weight"].shape
    two_layers = "locator.fc_lt.weight" in weights
    size = round((inputs / num_scales) ** 0.5)
    if num_scales * size**2 != inputs:
        raise ValueError(f"{inputs} pixels are not {num_scales} square patch(es)")
    model, policy = config.model, config.policy
    hidden = weights["locator.fc.weight"].shape[0] if two_layers else None
    with model.ignore_type():
        model.retina.update(
            size=size,
            num_scales=num_scales,
            scale_factor=scale_factor,
            sides=None,
            reduction="average",
            padding="zeros",
            pixel_mean=PIXEL_MEAN,
            pixel_stddev=PIXEL_STDDEV,
        )
        # Others are as wide, and would take the weights without a word.
        model.glimpse_network = {
            "kind": "mlp",
            "glimpse_units": glimpse_units,
            "location_units": weights["sensor.fc2.weight"].shape[0],
            "units": weights["sensor.fc3.weight"].shape[0],
        }
        model.core = {"kind": "rectifier", "units": units}
        model.location.update(
            hidden_units=hidden,
            stddev=stddev,
            # The published RAM squashes the mean, the published active RAM clips it.
            bound="clip" if config.family == "active_ram" else "tanh",
            mean_scale=1.0,
            detach_inputs=True,
        )
        model.baseline.detach_inputs = True
    policy.update(first_fraction=1.0, first_location=None)
