"""Variants of one config, trained and compared."""

import csv
import json
import pathlib

import keras
import numpy as np

from ram_tf import experiment
from ram_tf.errors import InputError, only_warned
from ram_tf.evaluation import statistics
from ram_tf.families import find_family
from ram_tf.files import whole_file
from ram_tf.pictures.curves import plot_lines
from ram_tf.studies.evaluate import evaluate


# The options of a command, by name.
def run(
    config,
    variants,
    workdir,
    *,
    seeds=(0,),
    num_glimpses=None,
    split="validation",
    report=print,
):
    """Trains every variant with every seed, resumes what was stopped, and compares.

    Each run is an ordinary workdir, `workdir/<variant>/seed_<s>`. In the end `workdir`
    holds `comparison.csv`, `convergence.png` (validation accuracy after so many images,
    on a logarithmic axis, since variants differ most early on) and `glimpses.png`
    (accuracy on `split` after each glimpse, also beyond those trained with).

    In the table, `std` is over training seeds, with one degree of freedom less, and
    `seeds_error` the standard error of the mean over them: both empty of one seed.
    `standard_error` is that over images of one run, the mean over seeds.

    Args:
        config: `ConfigDict` with every key.
        variants: Dictionary: name of a variant -> {dotted config key: value}; a
            dictionary replaces a whole section.
        workdir: Folder of the comparison.
        seeds: Sequence of ints, `runtime.seed` of the runs of a variant.
        num_glimpses: Int, glimpses to compare after training, or `None`, as trained.
        split: `"validation"`, from which one may be chosen, or `"test"`, for a last
            word on variants that were chosen before.
        report: Function of one line of text.

    Returns:
        0, or the exit status of a run that was stopped.
    """
    _check_variants(variants)
    if not variants or not seeds:
        raise InputError(
            "there is nothing to compare: expected variants and seeds, one at least."
        )
    workdir = pathlib.Path(workdir)
    varied, runs = _vary(config, variants, workdir, seeds)
    for folder in (folder for folders in runs.values() for folder in folders):
        if (folder / "results.json").exists():
            _read_results(folder, split)  # What cannot be read is refused before.
    for title, folder, own in varied:
        report(title)
        status = experiment.run(own, folder, tested_on=split, report=report)
        if status:
            return status
        keras.backend.clear_session()
    _compare(variants, runs, workdir, num_glimpses, split, report)
    return 0


def _vary(config, variants, workdir, seeds):
    """What is to be run: (title, folder, config) of each run, and results by name."""
    varied, runs = [], {name: [] for name in variants}
    for name, overrides in variants.items():
        for seed in seeds:
            own = experiment.vary(config, {**overrides, "runtime.seed": seed})
            experiment.check(own)
            folder = workdir / name / f"seed_{seed}"
            varied.append((f"{name}, seed {seed}", folder, own))
            family = find_family(own.family)
            last = experiment.phase_folder(folder, family.phases[-1], family)
            runs[name].append(last)
    return varied, runs


def _compare(variants, runs, workdir, num_glimpses, split, report):
    """Writes the table and the curves of finished runs, and says what they are."""
    results = {
        name: [_read_results(folder, split) for folder in folders]
        for name, folders in runs.items()
    }
    tests = {
        name: [result[split] for result in found] for name, found in results.items()
    }
    by_glimpse = {
        name: _accuracy_per_glimpse(num_glimpses, folders, tests[name], split)
        for name, folders in runs.items()
    }
    rows = [
        _row(name, variants[name], found, tests[name], by_glimpse[name])
        for name, found in results.items()
    ]
    with whole_file(workdir / "comparison.csv") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        report(
            f"{row['variant']:24} {split} accuracy {100 * row['accuracy']:.2f} % "
            f"({_describe_errors(row)}), one sample {100 * row['one_sample']:.2f} %, "
            f"{row['looks']} glimpses {100 * row['after_looks']:.2f} %, "
            f"{row['seconds']:.0f} s"
        )
    by_image = {
        name: _convergence(folders, results[name]) for name, folders in runs.items()
    }
    with only_warned("not all is drawn", report):
        axes = "glimpses", f"{split} accuracy"
        plot_lines(by_glimpse, workdir / "glimpses.png", *axes)
        axes = "training images", "validation accuracy"
        plot_lines(by_image, workdir / "convergence.png", *axes, x_scale="log")
    report(f"wrote {workdir}: comparison.csv, convergence.png, glimpses.png")


def _check_variants(variants):
    if not isinstance(variants, dict) or not all(
        isinstance(overrides, dict) for overrides in variants.values()
    ):
        raise InputError(
            "variants must be a dictionary, name -> {dotted config key: value}, got "
            f"{variants!r}."
        )


def _read_results(folder, split):
    """The results of a run that was measured on the images of `split`."""
    results = json.loads((folder / "results.json").read_text())
    if split not in results:
        raise InputError(
            f"{folder} was not measured on its {split} images: give the --split it "
            "was trained with, or another workdir."
        )
    return results


def _row(name, overrides, results, tests, by_glimpse):
    looks, curves = by_glimpse
    accuracy = [test["accuracy"] for test in tests]
    over_seeds = statistics.mean_and_std(accuracy)
    errors = [test.get("standard_error") for test in tests]  # Older runs have none.
    return {
        "variant": name,
        "accuracy": over_seeds["mean"],
        "standard_error": None if None in errors else np.mean(errors),
        "std": over_seeds["std"],
        "seeds_error": statistics.without_nan(statistics.standard_error(accuracy)),
        "one_sample": np.mean([test["accuracy_one_sample"] for test in tests]),
        "looks": int(looks[-1]),
        "after_looks": np.mean([curve[-1] for curve in curves]),
        "seeds": len(results),
        "seconds": np.mean([result["train_seconds"] for result in results]),
        "overrides": json.dumps(overrides),
    }


def _describe_errors(row):
    """What is known of a row's errors; one training seed says nothing of others."""
    parts = []
    if row["standard_error"] is not None:
        parts.append(f"± {100 * row['standard_error']:.2f} over images of one run")
    if row["seeds_error"] is not None:
        parts.append(f"± {100 * row['seeds_error']:.2f} over training seeds")
    return ", ".join([*parts, f"{row['seeds']} training seed(s)"])


def _convergence(folders, results):
    curves = []
    for folder in folders:
        with open(folder / "metrics.csv", newline="") as file:
            curves.append([float(row["val_accuracy"]) for row in csv.DictReader(file)])
    shortest = min(map(len, curves))  # Early stopping ends runs at different epochs.
    # Batches may differ between variants, not between the seeds of one.
    config, *_ = experiment.read_run(folders[0])
    steps = results[0]["steps"] / len(curves[0])
    images = steps * config.train.batch_size * (1 + np.arange(shortest))
    return images, [curve[:shortest] for curve in curves]


def _accuracy_per_glimpse(num_glimpses, folders, tests, split):
    if num_glimpses is None:
        curves = [test["accuracy_per_glimpse"] for test in tests]
    else:
        curves = [_look_longer(folder, num_glimpses, split) for folder in folders]
    return 1 + np.arange(len(curves[0])), curves


def _look_longer(folder, num_glimpses, split):
    config, *_ = experiment.read_run(folder)
    compared = evaluate(
        folder,
        split=split,
        num_glimpses=[num_glimpses],
        chosen=["learned"],
        seeds=config.eval.seeds,
        max_examples=config.eval.max_examples,
        report=lambda line: None,
    )
    keras.backend.clear_session()
    return compared["policies"]["learned"]["accuracy"]["mean"]
