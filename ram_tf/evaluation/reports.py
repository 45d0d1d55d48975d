"""What the commands print: tables of numbers, and what they say."""

import sys

import keras

from ram_tf import policies
from ram_tf.evaluation.movement import (
    COLLAPSED_SPREAD,
    TOLERATED,
    describe_coverage,
    describe_idle,
    later_share,
)
from ram_tf.evaluation.words import describe_shape, format_accuracy


def introduce(config, phase, dataset, network, num_replicas, report=print):
    """Says what will be trained, and how much of an image it can see."""
    sizes = [
        f"{dataset.eval_size(split):,} {split}" for split in ("validation", "test")
    ]
    report(
        f"{config.family} ({phase.name}) on {dataset.name}: {len(dataset.train):,} "
        f"training, {', '.join(sizes)} images of "
        f"{describe_shape(dataset.image_shape)}; "
        f"{network.count_params():,} parameters; {num_replicas} replica(s)"
    )
    smallest = dataset.image_shape[:2]
    if dataset.windows is not None:
        sizes = dataset.windows.sizes
        smallest = tuple(sizes[sizes.prod(axis=1).argmin()].tolist())
    if network.zoom is not None:
        sides = [
            " and ".join(f"{side * scale:.3g}x{side * scale:.3g}" for side in sides)
            for scale, sides in ((each, network.glimpse_sides) for each in network.zoom)
        ]
        report(f"glimpses see from {sides[0]} to {sides[1]} pixels, as is decided")
        return
    report(
        describe_coverage(smallest, network.glimpse_sides, config.train.num_glimpses)
    )


def report_results(results, report=print):
    """Prints what a `results.json` says."""
    compared = results["comparison"]
    report_comparison(compared, report)
    report_idle(compared, report)
    split = "test" if "test" in results else "validation"
    report(f"{split} accuracy {describe_learned(compared)}")
    report(
        f"trained {results['train_seconds']:.0f} s at "
        f"{results['images_per_second']:,.0f} images/s"
    )
    report(f"picture of what it looked at: {results['picture']}")


def describe_learned(compared):
    """The learned policy's accuracy after the last glimpse, with its errors."""
    learned, count = compared["policies"]["learned"], compared["num_examples"]
    accuracy, runs = learned["accuracy"], learned.get("num_correct")
    words = f"learned policy, {learned['mc_samples']} sample(s) averaged: "
    mean = 100 * accuracy["mean"][-1]
    if runs is None:  # Written before errors were measured.
        return f"{words}{mean:.2f} %"
    error, std = accuracy["standard_error"][-1], accuracy["std"]
    originals = compared["num_originals"]
    of = "" if originals == count else f" of {originals:,} originals"
    error = "" if error is None else f" ± {100 * error:.2f} points over images{of}"
    first = format_accuracy(runs[0] / count, count)
    if std is None:
        return f"{words}{first}{error}"
    return (
        f"{words}{mean:.2f} %{error}, std {100 * std[-1]:.2f} over {len(runs)} "
        f"evaluation seeds, the first {first}"
    )


def report_comparison(compared, report=print):
    """Prints a table of `evaluation.compare_policies`: accuracy after each glimpse."""
    report(
        f"{compared['num_examples']:,} images, accuracy in % after each glimpse, mean "
        f"of {compared['seeds']} evaluation seed(s); ± its standard error over images"
    )
    _report_row("", range(1, compared["num_glimpses"] + 1), "7d", report)
    for name, measured in compared["policies"].items():
        copies = measured["mc_samples"]
        rows = {"one sample": measured["accuracy_one_sample"]}
        averaged = f"{copies} averaged" if copies > 1 else "one sample"
        rows[averaged] = measured["accuracy"]
        for group in ("known", "unknown"):
            if f"accuracy_{group}" in measured:
                rows[f"{averaged}, {group}"] = measured[f"accuracy_{group}"]
        # What older runs have kept does not say it.
        blind = measured.get("blind", name in policies.CONTROLS)
        control = " (control)" if blind else ""
        for kind, row in rows.items():
            _report_points(f"{name}{control}, {kind}", row, "7.2f", report)


def report_details(compared, report=print):
    """Prints the other measures of a comparison: how the policies move and gain."""
    measured_policies = compared["policies"]
    report(
        "how the policies move: spread between images, coverage, revisits; normalised "
        "area under the accuracy"
    )
    for name, measured in measured_policies.items():
        spread, coverage, revisits = measured["statistics"].values()
        area = measured["normalized_area"]["mean"]
        report(f"  {name:12} {spread:.3f}  {coverage:.1%}  {revisits:.1%}  {area:.3f}")
    mean = measured_policies.get("mean")
    collapsed = mean and mean["statistics"]["spread"] < COLLAPSED_SPREAD
    if collapsed and compared["num_glimpses"] > 1:
        report(
            "warning: the policy has collapsed: it looks at the same places in every "
            "image."
        )
    for name, measured in measured_policies.items():
        for measure in (*TOLERATED, "likelihood_gain"):
            unit = " nats" if measure == "likelihood_gain" else ""
            values = measured[measure]["mean"]
            _report_row(f"  {name:12} {measure}{unit}", values, "7.2f", report)
    for name, measured in measured_policies.items():
        if "bytes_read" in measured:
            count = measured["bytes_read"]["mean"]
            copies = measured["mc_samples"]
            report(
                f"  {name:12} read {count:,.0f} bytes of an image in "
                f"{compared['num_glimpses']} glimpses"
                + (f" of each of {copies} samples" if copies > 1 else "")
            )
    report_idle(compared, report)
    _report_differences(measured_policies, report)
    _report_gains(measured_policies, report)
    for name, measured in measured_policies.items():
        for stop in measured.get("stopping", ()):
            report(
                f"{name}, stopping at epsilon {stop['epsilon']:g}: "
                f"{stop['glimpses']:.2f} glimpses on average, accuracy "
                f"{100 * stop['accuracy']:.2f} %"
            )


def report_idle(compared, report=print):
    """Warns in one line if a policy that can choose looks where little can be seen."""
    measured_policies = compared["policies"]
    for name in ("mean", "learned"):
        if name in measured_policies:
            measured = measured_policies[name]
            shares = {key: later_share(measured[key]["mean"]) for key in TOLERATED}
            line = describe_idle(shares)
            if line:
                report(
                    f"warning: the policy {name} looks where there is little: {line}."
                )
            return


def _report_differences(measured_policies, report):
    rows = {
        name: measured["over_random"]
        for name, measured in measured_policies.items()
        if "over_random" in measured
    }
    if rows:
        report("points over the random control, paired by image; ± standard error")
    for name, row in rows.items():
        _report_points(f"  {name}", row, "+7.2f", report)


def _report_gains(measured_policies, report):
    measures = {
        "predicted gain": "predicted_gain",
        "realised gain": "realised_gain",
        "their rank correlation": "gain_rank_correlation",
    }
    rows = {
        f"  {name}, {words}": measured[measure]["mean"]
        for name, measured in measured_policies.items()
        if "predicted_gain" in measured
        for words, measure in measures.items()
    }
    if rows:
        report("information gain of each look after the first, nats, mean over images")
    for title, values in rows.items():
        _report_row(f"{title:34}{'':7}", values, "7.3f", report)


def _report_points(title, measured, form, report):
    """A row of means in points of a hundred, and one of their errors, where known."""
    _report_row(title, [100 * value for value in measured["mean"]], form, report)
    errors = measured.get("standard_error", [None])
    if None not in errors:
        errors = [100 * value for value in errors]
        _report_row(f"{'±':>34}", errors, "7.2f", report)


def _report_row(title, values, form, report):
    report(f"{title:34}" + "".join(f"{value:{form}}" for value in values))


def progress_bar(total, unit):
    """A bar on a terminal; in a file, where a bar cannot move, a line at the end."""
    verbose = 1 if sys.stdout.isatty() else 2
    return keras.utils.Progbar(total, unit_name=unit, verbose=verbose)
