"""A learned policy against a control on the same features, over all the pictures."""

import pathlib

import keras
import numpy as np

from ram_tf import evaluation, experiment, policies
from ram_tf.errors import InputError
from ram_tf.evaluation import statistics, words
from ram_tf.families import find_family
from ram_tf.files import write_json


def run(config, workdir, *, num_folds=5, control="center", mc_samples=1, report=print):
    """Trains on all folds of a data set but one, in turn, and tests on that one.

    In each fold the model is trained as configured, and once more with a control that
    never learns where to look, from the same weights of the phase before where there
    are several phases. Every picture is tested once by each, with as many paths
    averaged, so that their difference is one of pairs.

    Each run is an ordinary workdir, `workdir/fold_<k>/<policy>`; what was stopped goes
    on. In the end `workdir` holds `cross_validation.json`.

    Args:
        config: `ConfigDict` of a data set with folds (`data.num_folds`).
        workdir: Folder of the comparison.
        num_folds: Int >= 2.
        control: Name of the control: `policy.kind` of its runs.
        mc_samples: Int. Sampled paths averaged, on both sides.
        report: Function of one line of text.

    Returns:
        0, or the exit status of a run that was stopped.
    """
    if mc_samples > 1 and policies.CONTROLS[control].deterministic:
        raise InputError(
            f"mc_samples is {mc_samples}, but the control {control!r} has one path: "
            "leave it at 1, so that as many are averaged on both sides, or take "
            "--control=random."
        )
    workdir = pathlib.Path(workdir)
    family = find_family(config.family)
    last = family.phases[-1]
    right = {"learned": [], control: []}
    for fold in range(num_folds):
        folder = workdir / f"fold_{fold}"
        own = experiment.vary(config, {"data.num_folds": num_folds, "data.fold": fold})
        # A control has no mean policy.
        changes = {"policy.kind": control, "eval.policies": ("learned",)}
        if last.starts_from:
            changes[f"phases.{last.name}.pretrain_checkpoint"] = str(folder / "learned")
        runs = {
            "learned": (own, "all"),
            control: (experiment.vary(own, changes), last.name),
        }
        for name, (its_config, phase) in runs.items():
            report(f"fold {fold + 1} of {num_folds}, {name}")
            status = experiment.run(
                its_config, folder / name, phase=phase, report=report
            )
            if status:
                return status
            right[name].append(_right(folder / name, mc_samples, report))
            keras.backend.clear_session()
    right = {name: np.concatenate(parts) for name, parts in right.items()}
    difference = right["learned"] - right[control]
    count = len(difference)
    mean, error = difference.mean(), statistics.standard_error(difference)
    accuracy = {name: float(each.mean()) for name, each in right.items()}
    write_json(
        workdir / "cross_validation.json",
        {
            "accuracy": accuracy,
            "difference": {"mean": float(mean), "standard_error": float(error)},
            "mc_samples": mc_samples,
            "num_examples": count,
            "num_folds": num_folds,
        },
    )
    for name, value in accuracy.items():
        report(f"{name:10} {words.format_accuracy(value, count)}, {mc_samples} path(s)")
    ahead = "learned" if mean > 0 else control
    verdict = f"{ahead} is ahead" if abs(mean) > 2 * error else "not told apart"
    report(
        f"learned - {control}: {100 * mean:+.1f} ± {100 * error:.1f} points (standard "
        f"error, paired by picture): {verdict}"
    )
    report(f"wrote {workdir / 'cross_validation.json'}")
    return 0


def _right(workdir, mc_samples, report):
    """Whether each test picture was classified correctly after the last glimpse."""
    restored = experiment.restore(workdir)
    config = restored.config
    evaluator = evaluation.Evaluator(
        restored.network,
        restored.policies["learned"],
        config.train.num_glimpses,
        mc_samples=mc_samples,
        xla=config.runtime.xla,
    )
    dataset = experiment.load_data_for(restored, report=report)
    batches = dataset.eval_batches("test", config.eval.batch_size)
    return evaluator.measure(batches)["correct"][:, -1].astype(float)
