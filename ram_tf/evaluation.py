"""Policies compared on the same weights and the same images."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ram_tf import metrics, random
from ram_tf.models.rollout import rollout

_EXAMPLES_FOR_STATISTICS = 512


class Evaluator:
    """Runs one policy over a set and measures every glimpse.

    Args:
        network: A built `AttentionModel`.
        policy: Where to look.
        num_glimpses: Int.
        mc_samples: Int. Copies of each image whose class probabilities are averaged.
        stop_epsilons: Sequence of floats, see `AttentionModel.may_stop`.
        unknown_class: Int or `None`. The class of an open set that stands for all
            others, whose accuracy is told apart.
        perturb: Function `(images, seed) -> images` or `None`, applied to each batch.
        xla: Boolean. Compile all of it with XLA, else only what cuts glimpses.
    """

    def __init__(
        self,
        network,
        policy,
        num_glimpses,
        *,
        mc_samples=1,
        stop_epsilons=(),
        unknown_class=None,
        perturb=None,
        xla=True,
    ):
        network.check_glimpses(num_glimpses)
        for epsilon in stop_epsilons:
            network.check_epsilon(epsilon)
        self.network = network
        self.policy = policy
        self.num_glimpses = num_glimpses
        self.mc_samples = mc_samples
        self.stop_epsilons = tuple(stop_epsilons)
        self.unknown_class = unknown_class
        self.perturb = perturb
        self._sense = network.sense if xla else network.compiled_sense
        self._rollout = tf.function(self._run, jit_compile=xla, autograph=False)
        self._prepare = tf.function(self._inputs, autograph=False)

    def measure(self, batches, seed=0):
        """Measures the policy once.

        Args:
            batches: Iterable of `(images, labels, weights)`; weight 0 marks padding.
            seed: Int, the evaluation seed.

        Returns:
            Dictionary: `accuracy`, `nll` (nats) and `calibration_error`, lists over
            glimpses, of the averaged prediction; `normalized_area` under its accuracy;
            `accuracy_one_sample`, the mean over the copies of their own accuracy;
            `statistics` of `metrics.policy_statistics`; `correct`, booleans `(examples,
            glimpses)`; and `num_examples`. Of a policy that predicts what it gains,
            also `predicted_gain` and `realised_gain` of each look after the first, in
            nats, and their rank correlation between images, `gain_rank_correlation`.
            With an unknown class, `accuracy_known` and `accuracy_unknown` as well.
            With `stop_epsilons`, where something says when to stop, `stopping`: a list
            of `{"epsilon", "glimpses", "accuracy"}`.
        """
        parts, locations = [], []
        for index, (images, labels, weights) in enumerate(batches):
            batch_seed = random.make_seed(seed, index)
            context, size = self._prepare(images, batch_seed)
            probabilities, places, gains, stops = self._rollout(context, batch_seed)
            kept = np.asarray(weights) > 0
            labels = np.asarray(labels)[kept]
            part = _batch_measures(np.asarray(probabilities)[kept], labels)
            part["unknown"] = labels == self.unknown_class
            if gains is not None:
                part["best_gain"] = np.asarray(gains)[kept].mean(axis=1)
            for epsilon, may_stop in zip(self.stop_epsilons, stops):
                part[f"stop {epsilon}"] = np.asarray(may_stop)[kept]
            parts.append(part)
            if len(locations) * len(kept) < _EXAMPLES_FOR_STATISTICS:
                locations.append(np.asarray(places)[:, 0][kept])
        image_size = tuple(int(length) for length in size)
        return {
            **_summary(parts, self.stop_epsilons),
            "statistics": self._statistics(locations, image_size),
        }

    def _inputs(self, images, seed):
        size = tf.shape(images)[1:3]
        if self.perturb is not None:
            images = self.perturb(images, seed)
        return self.network.prepare(images), size

    def _run(self, context, seed):
        result = rollout(
            self.network,
            self.policy,
            context,
            self.num_glimpses,
            seed=seed,
            sense=self._sense,
            copies=self.mc_samples,
        )
        copies = (-1, self.mc_samples)

        def by_copy(tensor):
            return ops.reshape(tensor, (*copies, *tensor.shape[1:]))

        probabilities = by_copy(ops.softmax(result.logits))
        gains = result.extras.get("gain")
        if gains is not None:
            gains = by_copy(ops.max(gains, axis=-1))
        doubt = self.network.doubt(result.extras)
        stops = []
        if doubt is not None:
            doubt = ops.mean(by_copy(doubt), axis=1)
            belief = ops.mean(probabilities, axis=1)[:, : doubt.shape[1]]
            stops = [
                self.network.may_stop(belief, doubt, epsilon)
                for epsilon in self.stop_epsilons
            ]
        return probabilities, by_copy(result.locations), gains, stops

    def _statistics(self, locations, image_size):
        locations = np.concatenate(locations)[:_EXAMPLES_FOR_STATISTICS]
        boxes = self.network.glimpse_boxes(locations, image_size)
        return metrics.policy_statistics(locations, np.asarray(boxes), image_size)


def _batch_measures(probabilities, labels):
    """Per-example measures from `(examples, copies, glimpses, classes)`."""
    mean = probabilities.mean(axis=1)
    index = np.arange(len(labels))
    likelihood = np.maximum(mean[index, :, labels], np.finfo("float32").tiny)
    logs = np.log(np.maximum(mean, np.finfo("float32").tiny))
    own = (probabilities.argmax(axis=-1) == labels[:, None, None]).mean(axis=1)
    return {
        "correct": mean.argmax(axis=-1) == labels[:, None],
        "nll": -np.log(likelihood),
        "confidence": mean.max(axis=-1),
        "own": own,
        "realised_gain": (mean[:, 1:] * (logs[:, 1:] - logs[:, :-1])).sum(axis=-1),
    }


def _summary(parts, stop_epsilons):
    stacked = {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0]
    }
    correct, confidence = stacked["correct"], stacked["confidence"]
    accuracy = correct.mean(axis=0)
    unknown = stacked["unknown"]
    summary = {
        "accuracy": accuracy.tolist(),
        "normalized_area": metrics.normalized_area(accuracy),
        "accuracy_one_sample": stacked["own"].mean(axis=0).tolist(),
        "nll": stacked["nll"].mean(axis=0).tolist(),
        "calibration_error": [
            metrics.calibration_error(confidence[:, t], correct[:, t])
            for t in range(correct.shape[1])
        ],
        "num_examples": len(correct),
        "correct": correct,
    }
    if unknown.any() and not unknown.all():
        summary["accuracy_known"] = correct[~unknown].mean(axis=0).tolist()
        summary["accuracy_unknown"] = correct[unknown].mean(axis=0).tolist()
    if "best_gain" in stacked:
        best, realised = stacked["best_gain"], stacked["realised_gain"]
        summary |= {
            "predicted_gain": best.mean(axis=0).tolist(),
            "realised_gain": realised.mean(axis=0).tolist(),
            "gain_rank_correlation": [
                metrics.rank_correlation(best[:, t], realised[:, t])
                for t in range(best.shape[1])
            ],
        }
    stopping = [
        {"epsilon": epsilon, **metrics.stop_early(correct, stacked[f"stop {epsilon}"])}
        for epsilon in stop_epsilons
        if f"stop {epsilon}" in stacked
    ]
    return summary | ({"stopping": stopping} if stopping else {})


def compare_policies(
    network,
    policies,
    batches,
    num_glimpses,
    *,
    mc_samples=1,
    seeds=1,
    stop_epsilons=(),
    unknown_class=None,
    perturb=None,
    xla=True,
    progress=None,
):
    """Measures several policies on the same weights, over several seeds.

    Args:
        network: A built `AttentionModel`.
        policies: Dictionary name -> policy.
        batches: `tf.data.Dataset` of `(images, labels, weights)`.
        num_glimpses: Int.
        mc_samples: Int. Copies averaged; what draws nothing is run once.
        seeds: Int, number of evaluation seeds.
        stop_epsilons: Sequence of floats. Where something says when to stop, what
            stopping by each would cost is measured; see `AttentionModel.may_stop`.
        unknown_class: Int or `None`, see `Evaluator`.
        perturb: Function `(images, seed) -> images` or `None`.
        xla: Boolean.
        progress: Function called without arguments after each pass, or `None`.

    Returns:
        `{"policies": {name: {measure: {"mean": [...], "std": [...]}}}, "mc_samples",
        "seeds", "num_examples", "num_glimpses"}`. The standard deviation is over
        evaluation seeds (population, so 0 for one). With a policy named `random`, the
        others have `over_random`: the difference of their accuracy after each glimpse,
        paired by image (`mean`, and its standard error over images, `error`). With
        `stop_epsilons`, those that can stop have `stopping`: a list of `{"epsilon",
        "glimpses", "accuracy"}`, means over seeds.
    """
    compared, correct = {}, {}
    for name, policy in policies.items():
        draws = network.draws(policy)
        evaluator = Evaluator(
            network,
            policy,
            num_glimpses,
            mc_samples=mc_samples if draws else 1,
            stop_epsilons=stop_epsilons,
            unknown_class=unknown_class,
            perturb=perturb,
            xla=xla,
        )
        runs = []
        for seed in range(seeds if draws else 1):
            runs.append(evaluator.measure(batches, seed))
            if progress:
                progress()
        num_examples = runs[0].pop("num_examples")
        for run in runs[1:]:
            run.pop("num_examples")
        statistics = [run.pop("statistics") for run in runs]
        correct[name] = np.mean([run.pop("correct") for run in runs], axis=0)
        stopping = [run.pop("stopping", None) for run in runs]
        compared[name] = {
            measure: _mean_and_std([run[measure] for run in runs])
            for measure in runs[0]
        }
        compared[name]["mc_samples"] = evaluator.mc_samples
        compared[name]["statistics"] = {
            key: float(np.mean([run[key] for run in statistics]))
            for key in statistics[0]
        }
        if stopping[0]:
            compared[name]["stopping"] = [
                {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
                for rows in zip(*stopping)
            ]
    for name in set(correct) - {"random"} if "random" in correct else ():
        difference = correct[name] - correct["random"]
        compared[name]["over_random"] = {
            "mean": difference.mean(axis=0).tolist(),
            "error": (difference.std(axis=0) / np.sqrt(num_examples)).tolist(),
        }
    return {
        "policies": compared,
        "mc_samples": mc_samples,
        "seeds": seeds,
        "num_examples": num_examples,
        "num_glimpses": num_glimpses,
    }


def _mean_and_std(runs):
    return {
        "mean": np.mean(runs, axis=0).tolist(),
        "std": np.std(runs, axis=0).tolist(),
    }


def _affine(images, scale, shift):
    """Scales about the centre and shifts by (x, y) in shares of the image."""
    height, width = images.shape[1:3]
    x, y = shift[0] * width, shift[1] * height
    matrix = [
        1 / scale,
        0.0,
        (width - 1) / 2 * (1 - 1 / scale) - x / scale,
        0.0,
        1 / scale,
        (height - 1) / 2 * (1 - 1 / scale) - y / scale,
        0.0,
        0.0,
    ]
    moved = keras.ops.image.affine_transform(
        ops.cast(images, "float32"),
        ops.tile(ops.convert_to_tensor([matrix]), (ops.shape(images)[0], 1)),
        interpolation="bilinear",
    )
    return ops.cast(moved, images.dtype)


def _clutter(images, seed, num_pieces=4, size=8):
    """Pastes pieces of other images of the batch at random places, by maximum."""
    batch, height, width = ops.shape(images)[0], *images.shape[1:3]
    size = min(size, height, width)
    room = ops.convert_to_tensor([height - size + 1.0, width - size + 1.0] * 2)
    canvas = ops.cast(images, "float32")
    for piece in range(num_pieces):
        draws = tf.random.stateless_uniform((batch, 4), random.fold_in(seed, piece))
        rows_columns = ops.cast(draws * room, "int32")
        source = ops.cast(ops.roll(images, piece + 1, axis=0), "float32")
        span = ops.arange(size, dtype="int32")
        cut = tf.gather(source, rows_columns[:, 0:1] + span, axis=1, batch_dims=1)
        cut = tf.gather(cut, rows_columns[:, 1:2] + span, axis=2, batch_dims=1)
        put_rows = ops.one_hot(rows_columns[:, 2:3] + span, height)
        put_columns = ops.one_hot(rows_columns[:, 3:4] + span, width)
        pasted = ops.einsum("bph,bqw,bpqc->bhwc", put_rows, put_columns, cut)
        canvas = ops.maximum(canvas, pasted)
    return ops.cast(canvas, images.dtype)


PERTURBATIONS = {
    "scale 0.75": lambda images, seed: _affine(images, 0.75, (0.0, 0.0)),
    "scale 1.25": lambda images, seed: _affine(images, 1.25, (0.0, 0.0)),
    "shift 10 %": lambda images, seed: _affine(images, 1.0, (0.1, 0.1)),
    "clutter": _clutter,
}
