"""Policies of a trained workdir, compared."""

from ram_tf import evaluation
from ram_tf.errors import InputError
from ram_tf.evaluation import reports
from ram_tf.evaluation.perturbations import perturbations
from ram_tf.experiment.build import pick_policies
from ram_tf.experiment.restore import load_data_for, restore
from ram_tf.files import write_json
from ram_tf.pictures.curves import plot_lines
from ram_tf.studies.draw import check_picture_name


# The options of a command, by name.
def evaluate(
    workdir,
    *,
    checkpoint="best",
    num_glimpses=None,
    mc_samples=None,
    chosen=None,
    seeds=5,
    split=None,
    max_examples=None,
    datapath=None,
    robustness=False,
    stops=(),
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
        split: `"test"`, `"validation"`, `"all"` of a folder of pictures, or `None`: of
            another folder than that of the run all if it has no test split, else test.
        max_examples: Int or `None`.
        datapath: Where the data are, or `None`, as trained.
        robustness: Boolean. Also measure scaled, shifted and cluttered images.
        stops: When looking stops, several to compare: see `AttentionModel.stop_number`
            and `evaluation.compare_policies`.
        output: Path of a JSON file or `None`.
        plot: Path of a picture or `None`: accuracy against glimpses.
        report: Function of one line of text.

    Returns:
        The comparison at the first number of glimpses, with the others under
        `by_num_glimpses` and the perturbed ones under `robustness`.
    """
    if plot:
        check_picture_name(plot)
    trained = restore(workdir, checkpoint)
    config = trained.config
    chosen = pick_policies(trained.policies, chosen)
    dataset = load_data_for(trained, datapath, report, split)
    split = dataset.measured or split or "test"
    if robustness and dataset.windows is not None:
        raise InputError(
            "--robustness changes whole images, and these are read in windows: leave "
            "it out."
        )
    stop_epsilons = [trained.network.stop_number(stop) for stop in stops]
    batches = dataset.eval_batches(split, config.eval.batch_size, max_examples)
    numbers = num_glimpses or [config.train.num_glimpses]
    runs = {
        name: seeds if trained.network.is_random(policy) else 1
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
            background=dataset.background,
            perturb=perturb,
            xla=config.runtime.xla,
            progress=progress and (lambda: progress.add(1)),
        )

    results = {steps: compare(steps, chosen, seeds) for steps in numbers}
    report(f"{trained.checkpoint}, {dataset.name} {split} set")
    if trained.network.stop_rule is not None:
        for epsilon in stop_epsilons:
            report(trained.network.make_stop_rule(epsilon).describe())
    whole = _report_all(results, numbers, stop_epsilons, report)
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
        curves = accuracy_curves(longest)
        plot_lines(curves, plot, "glimpses", "accuracy")
        report(f"wrote {plot}, and its numbers beside it as .npz")
    return whole


def _report_all(results, numbers, stop_epsilons, report):
    """Reports comparisons by their numbers of glimpses; returns all as one."""
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
    return whole


def accuracy_curves(measured_policies):
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
