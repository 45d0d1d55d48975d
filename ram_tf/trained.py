"""What can be done with a trained workdir: evaluate and draw."""

import contextlib
import dataclasses
import pathlib
import sys
from typing import Any

import keras
import numpy as np
from matplotlib.backend_bases import FigureCanvasBase

from ram_tf import (
    data,
    evaluation,
    experiment,
    pretrained,
    reports,
    visualization,
)
from ram_tf.errors import InputError
from ram_tf.families import find_family
from ram_tf.files import write_json
from ram_tf.perturbations import perturbations
from ram_tf.training.checkpointing import find_checkpoint, load_weights, read_state


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained experiment, read back from its workdir.

    Attributes:
        config: The effective config, a `ConfigDict`.
        network: The built model with its weights: of several phases, what of it looks.
        policies: Dictionary name -> policy: `learned`, the family's own, the controls.
        class_names: Tuple of strings.
        image_shape: Tuple `(height, width, channels)`.
        checkpoint: Path of the checkpoint folder.
        fingerprint: That of the data it was trained on, or `None`: not known.
    """

    config: Any
    network: Any
    policies: dict
    class_names: tuple
    image_shape: tuple
    checkpoint: pathlib.Path
    fingerprint: str | None = None

    def pick(self, name=None):
        """Returns a policy by name, the one that the family shows if `None`."""
        if name is None:
            return experiment.shown_policy(self.config, self.policies)
        return experiment.pick_policies(self.policies, [name])[name]


def restore(workdir, checkpoint="best", dtype=None):
    """Reads a trained experiment back.

    Args:
        workdir: Folder of a run, or `packaged:NAME`.
        checkpoint: `"best"`, `"last"`, or the path of a checkpoint folder.
        dtype: Name of the dtype policy to build the network with, or `None` for the one
            that it was trained with. That of the process stays what it is.
    """
    workdir = _run_folder(pretrained.locate(workdir))
    config, class_names, image_shape = experiment.read_run(workdir)
    if checkpoint in ("best", "last"):
        path, _ = find_checkpoint(workdir / "checkpoints" / checkpoint, _warn)
        if path is None:
            raise InputError(
                f"no checkpoint {checkpoint!r} in {workdir}: train for at least one "
                "epoch first."
            )
    else:
        path = pathlib.Path(checkpoint)
        read_state(path)
    with _dtype_policy(dtype or config.runtime.mixed_precision):
        network = experiment.build_network(config, image_shape, len(class_names))
        policies = experiment.build_policies(config)
    load_weights(network, path)
    network = experiment.last_phase(config).view(network)
    return Trained(
        config,
        network,
        policies,
        class_names,
        image_shape,
        path,
        experiment.read_dataset(workdir).get("fingerprint"),
    )


@contextlib.contextmanager
def _dtype_policy(name):
    """The process's dtype policy for a while."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _run_folder(workdir):
    """The folder of a run: in a workdir of several phases, its last one there.

    Each says of which family it is: another family may have phases of the same names.
    """
    if (workdir / "config.json").exists():
        return workdir
    found = {}
    for path in workdir.glob("*/config.json"):
        folder = path.parent
        if (folder / "checkpoints").is_dir():
            config, *_ = experiment.read_run(folder)
            phases = find_family(config.family).phases
            names = [phase.name for phase in phases] if len(phases) > 1 else []
            if folder.name in names:
                found[config.family, names.index(folder.name)] = folder
    families = sorted({family for family, _ in found})
    if len(families) > 1:
        raise InputError(
            f"{workdir} holds phases of {' and '.join(families)}: name the folder of "
            "one phase."
        )
    return found[max(found)] if found else workdir


def evaluate(
    workdir,
    *,
    checkpoint="best",
    num_glimpses=None,
    mc_samples=None,
    chosen=None,
    seeds=5,
    split="test",
    max_examples=None,
    datapath=None,
    robustness=False,
    stop_epsilons=(),
    output=None,
    plot=None,
    report=print,
):
    """Compares policies on the same weights.

    Args:
        workdir: Folder of a run.
        checkpoint: See `restore`.
        num_glimpses: List of ints or `None`, as trained.
        mc_samples: Int or `None`, as configured.
        chosen: Names of policies or `None`, all.
        seeds: Int, evaluation seeds.
        split: `"test"` or `"validation"`.
        max_examples: Int or `None`.
        datapath: Where the data are, or `None`, as trained.
        robustness: Boolean. Also measure scaled, shifted and cluttered images.
        stop_epsilons: How sure is sure enough to stop looking, several to compare:
            see `evaluation.compare_policies`.
        output: Path of a JSON file or `None`.
        plot: Path of a picture or `None`: accuracy against glimpses.
        report: Function of one line of text.

    Returns:
        The comparison at the first number of glimpses, with the others under
        `by_num_glimpses` and the perturbed ones under `robustness`.
    """
    if plot:
        _check_picture_name(plot)
    trained = restore(workdir, checkpoint)
    config = trained.config
    chosen = experiment.pick_policies(trained.policies, chosen)
    dataset = load_data(trained, datapath, report)
    batches = dataset.eval_batches(split, config.eval.batch_size, max_examples)
    numbers = num_glimpses or [config.train.num_glimpses]
    runs = {
        name: seeds if trained.network.draws(policy) else 1
        for name, policy in chosen.items()
    }
    passes = len(numbers) * sum(runs.values())
    progress = reports.progress_bar(passes, "pass") if passes > 1 else None

    def compare(steps, policies, num_seeds, perturb=None, progress=progress):
        return evaluation.compare_policies(
            trained.network,
            policies,
            batches,
            steps,
            groups=dataset.eval_groups(split, max_examples),
            mc_samples=mc_samples or config.eval.mc_samples,
            seeds=num_seeds,
            stop_epsilons=stop_epsilons,
            unknown_class=dataset.unknown_class,
            perturb=perturb,
            xla=config.runtime.xla,
            progress=progress and (lambda: progress.add(1)),
        )

    results = {steps: compare(steps, chosen, seeds) for steps in numbers}
    report(f"{trained.checkpoint}, {dataset.name} {split} set")
    for compared in results.values():
        reports.report_comparison(compared, report)
        reports.report_details(compared, report)
    if stop_epsilons and not any(
        "stopping" in measured for measured in compared["policies"].values()
    ):
        report("warning: nothing here says when to stop: stop_epsilon does nothing.")
    whole = {**results[numbers[0]]}
    if len(numbers) > 1:
        whole["by_num_glimpses"] = {str(steps): results[steps] for steps in numbers}
    if "learned" in whole["policies"]:
        report(f"{numbers[0]} glimpses, {reports.describe_learned(whole)}")
    if robustness:
        whole["robustness"] = {}
        policies = {"learned": trained.policies["learned"]}
        for name, perturb in perturbations(dataset, split).items():
            compared = compare(numbers[0], policies, 1, perturb, progress=None)
            accuracy = compared["policies"]["learned"]["accuracy"]
            whole["robustness"][name] = accuracy
            report(f"robustness, {name}: {reports.describe_learned(compared)}")
    if output:
        write_json(output, whole)
        report(f"wrote {output}")
    if plot:
        longest = results[max(numbers)]["policies"]
        curves = _accuracy_curves(longest)
        visualization.plot_lines(curves, plot, "glimpses", "accuracy")
        report(f"wrote {plot}, and its numbers beside it as .npz")
    return whole


def _accuracy_curves(measured_policies):
    """Name -> (glimpses, accuracy): after each one, and at those where it stopped."""
    curves = {}
    for name, measured in measured_policies.items():
        accuracy = measured["accuracy"]["mean"]
        curves[name] = range(1, len(accuracy) + 1), accuracy
        if "stopping" in measured:
            rows = sorted(measured["stopping"], key=lambda row: row["glimpses"])
            glimpses, accuracy = zip(
                *[(row["glimpses"], row["accuracy"]) for row in rows]
            )
            curves[f"{name}, stopping early"] = glimpses, accuracy
    return curves


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
    _check_picture_name(output, [".gif"] if kind == "animation" else None)
    if kind == "curves":
        folder = _run_folder(pretrained.locate(workdir))
        visualization.plot_curves(folder / "metrics.csv", output)
    else:
        trained = restore(workdir, checkpoint)
        chosen = trained.pick(policy)
        if images:
            pixels = np.stack([read_image(path, trained) for path in images])
            labels = None
        else:
            dataset = load_data(trained, datapath, report)
            pixels, labels = dataset.some("test", num_images)
        recording = visualization.record(
            trained.network,
            chosen,
            pixels,
            num_glimpses or trained.config.train.num_glimpses,
        )
        plot = {
            "glimpses": visualization.plot_glimpses,
            "animation": visualization.animate_glimpses,
            "eig": visualization.plot_gain,
        }[kind]
        plot(recording, output, trained.class_names, labels)
    report(f"wrote {output}, and its numbers beside it as .npz")


def read_image(path, trained):
    """Decodes a file to the size and channels that the model was trained on."""
    height, width, channels = trained.image_shape
    content = pathlib.Path(path).read_bytes()
    return data.decode_image(content, str(path), (height, width), channels)


def load_data(trained, datapath=None, report=print):
    """Loads data to use a trained model on: those of its run if `datapath` is `None`.

    Says so where the images are others than those of the run.

    Raises:
        InputError: If their classes or sizes are others.
    """
    dataset = experiment.load_data(trained.config, datapath)
    experiment.check_classes(trained.class_names, trained.image_shape, dataset)
    if trained.fingerprint not in (None, dataset.fingerprint):
        report(
            f"warning: these data ({dataset.fingerprint}) are not those of the run "
            f"({trained.fingerprint}): it may have learned from what is tested here."
        )
    return dataset


def _check_picture_name(path, known=None):
    known = known or [f".{name}" for name in FigureCanvasBase.get_supported_filetypes()]
    known = sorted(known)
    if pathlib.Path(path).suffix.lower() not in known:
        raise InputError(
            f"cannot write a picture to {str(path)!r}: expected a name ending in one "
            f"of {', '.join(known)}."
        )


def _warn(line):
    print(f"warning: {line}", file=sys.stderr)
