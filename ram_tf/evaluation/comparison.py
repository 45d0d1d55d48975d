"""Policies compared on the same weights and the same images."""

import numpy as np

from ram_tf.evaluation.evaluator import (
    Evaluator,
    averaged_measures,
    open_set,
    summarise,
)
from ram_tf.evaluation.statistics import mean_and_std, standard_error, without_nan


# Options of one measurement, by name, most of them an `Evaluator`'s.
def compare_policies(
    network,
    policies,
    batches,
    num_glimpses,
    *,
    groups=None,
    mc_samples=1,
    seeds=1,
    stop_epsilons=(),
    unknown_class=None,
    perturb=None,
    background=None,
    xla=True,
    progress=None,
):
    """Measures several policies on the same weights, over several seeds.

    Args:
        network: A built `AttentionModel`.
        policies: Dictionary name -> policy.
        batches: `tf.data.Dataset` of `(images, labels, weights)`.
        num_glimpses: Int.
        groups: Integer array, of which original picture each example is, or `None` if
            each is of another one; see `statistics.standard_error`.
        mc_samples: Int. Copies averaged; what draws nothing is run once.
        seeds: Int, number of evaluation seeds.
        stop_epsilons: Sequence of floats. Where something says when to stop, what
            stopping by each would cost is measured; see `StopRule`.
        unknown_class: Int or `None`, see `Evaluator`.
        perturb: Function `(images, examples) -> images` or `None`, see `Evaluator`.
        background: Float or `None`, see `Evaluator`.
        xla: Boolean.
        progress: Function called without arguments after each pass, or `None`.

    Returns:
        `{"policies": {name: {measure: {"mean", "std", "standard_error"}}},
        "mc_samples", "seeds", "num_examples", "num_originals", "num_glimpses"}`, with
        the measures of `Evaluator.measure`.

        `std` is over evaluation seeds of the same weights, with one degree of freedom
        less, and `None` of one seed. `standard_error` is that of a mean over images:
        of each image's mean over the seeds, clustered by `groups`; measures that are no
        mean over images have none.

        Where images are read in windows, `bytes_read` is what one image took of all its
        copies, `mean` and `std` over the seeds, with no tile kept from another pass.

        Each policy also has `mc_samples` and `seeds`, with which it was run; `blind`,
        whether it looks where it does whatever the image shows;
        `num_correct`, after the last glimpse, one count a seed; and `statistics`. With
        a policy named `random`, the others have `over_random`: the difference of their
        accuracy after each glimpse, paired by image (`mean`, `standard_error`). With
        `stop_epsilons`, those that can stop have `stopping`: a list of `{"epsilon",
        "glimpses", "accuracy"}`, means over seeds.
    """
    compared, right = {}, {}
    for name, policy in policies.items():
        draws = network.is_random(policy)
        evaluator = Evaluator(
            network,
            policy,
            num_glimpses,
            mc_samples=mc_samples if draws else 1,
            stop_epsilons=stop_epsilons,
            unknown_class=unknown_class,
            perturb=perturb,
            background=background,
            xla=xla,
        )
        runs, moves, bytes_read = [], [], []
        for seed in range(seeds if draws else 1):
            examples, statistics = evaluator.by_example(batches, seed)
            runs.append(examples)
            moves.append(statistics)
            bytes_read.append(float(np.mean(evaluator.bytes_read)))
            if progress:
                progress()
        compared[name] = _over_seeds(evaluator, runs, moves, groups)
        compared[name]["blind"] = policy.blind
        if network.sensor is not None:
            compared[name]["bytes_read"] = mean_and_std(bytes_read)
        right[name] = np.mean([examples["accuracy"] for examples in runs], axis=0)
    for name in set(right) - {"random"} if "random" in right else ():
        difference = right[name] - right["random"]
        compared[name]["over_random"] = {
            "mean": difference.mean(axis=0).tolist(),
            "standard_error": _error(difference, groups),
        }
    num_examples = len(examples["accuracy"])
    return {
        "policies": compared,
        "mc_samples": mc_samples,
        "seeds": seeds,
        "num_examples": num_examples,
        "num_originals": num_examples if groups is None else len(np.unique(groups)),
        "num_glimpses": num_glimpses,
    }


def _over_seeds(evaluator, runs, moves, groups):
    """What one policy's runs, one a seed, say together."""
    summaries = [summarise(examples, evaluator.stop_epsilons) for examples in runs]
    stopping = [summary.pop("stopping", None) for summary in summaries]
    measured = {
        measure: mean_and_std([summary[measure] for summary in summaries])
        for measure in summaries[0]
    }
    for measure, error in _errors(runs, groups).items():
        measured[measure]["standard_error"] = error
    correct = [int(examples["accuracy"][:, -1].sum()) for examples in runs]
    measured |= {
        "num_correct": correct,
        "seeds": len(runs),
        "mc_samples": evaluator.mc_samples,
        "statistics": _means(moves),
    }
    if stopping[0]:
        measured["stopping"] = [_means(rows) for rows in zip(*stopping)]
    return measured


def _means(rows):
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def _errors(runs, groups):
    """Standard errors over images of measures whose runs are of several seeds."""
    subsets = open_set(runs[0])
    averaged = [averaged_measures(examples) for examples in runs]
    errors = {}
    for measure in averaged[0]:
        chosen = subsets.get(measure.removeprefix("accuracy_"), slice(None))
        values = np.mean([each[measure] for each in averaged], axis=0)
        errors[measure] = _error(values, None if groups is None else groups[chosen])
    return errors


def _error(values, groups):
    return without_nan(standard_error(values, groups))
