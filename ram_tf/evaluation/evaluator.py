"""One policy, run over a set of images."""

import numpy as np
import tensorflow as tf
from keras import ops

from ram_tf import random
from ram_tf.evaluation.movement import (
    TOLERATED,
    idle_glimpses,
    likelihood_gains,
    policy_statistics,
)
from ram_tf.evaluation.statistics import (
    calibration_error,
    normalized_area,
    rank_correlation,
    stop_early,
)
from ram_tf.models.looker import Looker

_EXAMPLES_FOR_STATISTICS = 512


class Evaluator:
    """Runs one policy over a set and measures every glimpse.

    Args:
        network: A built `AttentionModel`.
        policy: Where to look.
        num_glimpses: Int.
        mc_samples: Int. Copies of each image whose class probabilities are averaged.
        stop_epsilons: Sequence of floats, of the network's `StopRule`; of a network
            that has none nothing is said of stopping.
        unknown_class: Int or `None`. The class of an open set that stands for all
            others, whose accuracy is told apart.
        perturb: Function `(images, examples) -> images` or `None`, applied to each
            batch; `examples` are positions in the set, see `evaluation.perturbations`.
        background: Float in [0, 1], what is empty in an image, or `None`.
        xla: Boolean. Compile all of it with XLA, else only what cuts glimpses.

    Attributes:
        bytes_read: List, one number a batch of the last pass: bytes that were read of
            windows for an image, on average; without windows 0.
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
        background=None,
        xla=True,
    ):
        self.looker = Looker(network, policy, num_glimpses, copies=mc_samples, xla=xla)
        self.mc_samples = mc_samples
        make = network.stop_rule
        self.rules = [] if make is None else [make(each) for each in stop_epsilons]
        self.stop_epsilons = tuple(stop_epsilons)
        self.unknown_class = unknown_class
        self.perturb = perturb
        self.background = background
        self.bytes_read = []
        self._rollout = self.looker.compile(self._run)
        self._prepare = tf.function(self._inputs, autograph=False)
        self._watch = tf.function(self._idle, autograph=False)

    def measure(self, batches, seed=0):
        """Measures the policy once.

        Args:
            batches: Iterable of `(images, labels, weights)`; weight 0 marks padding.
            seed: Int, the evaluation seed.

        Returns:
            Dictionary: `accuracy`, `nll` (nats) and `calibration_error`, lists over
            glimpses, of the averaged prediction; `normalized_area` under its accuracy;
            `accuracy_one_sample`, the mean over the copies of their own accuracy;
            `likelihood_gain`, likewise, in nats, of `movement.likelihood_gains`;
            `blank`, `seen_before` and `on_edge`, shares of the first copy's glimpses,
            of `movement.idle_glimpses`;
            `statistics` of `movement.policy_statistics`; `correct`, booleans
            `(examples, glimpses)`; and `num_examples`. Of a policy that predicts what
            it gains, also `predicted_gain` and `realised_gain` of each look after the
            first, in nats, means over the copies of their own, and their rank
            correlation between images, `gain_rank_correlation`. With an unknown class,
            `accuracy_known` and `accuracy_unknown` as well. With `stop_epsilons`, where
            something says when to stop, `stopping`: a list of `{"epsilon", "glimpses",
            "accuracy"}`.
        """
        examples, statistics = self.by_example(batches, seed)
        return {
            **summarise(examples, self.stop_epsilons),
            "num_examples": len(examples["accuracy"]),
            "correct": examples["accuracy"],
            "statistics": statistics,
        }

    def by_example(self, batches, seed=0):
        """Measures every example once.

        Args:
            batches: See `measure`.
            seed: Int, the evaluation seed.

        Returns:
            Dictionary: name -> array `(examples, ...)` in the order of the set, whose
            mean is the measure of that name, beside what others are made of; and
            `movement.policy_statistics` of the first images.
        """
        parts, locations, sizes, first = [], [], [], 0
        self._forget_tiles()
        for index, (images, labels, weights) in enumerate(batches):
            batch_seed = random.make_seed(seed, index)
            positions = first + tf.range(len(weights))
            context, seen, size = self._prepare(images, positions)
            before = self._bytes_read()
            probabilities, places, gains, stops = self._rollout(context, batch_seed)
            self.bytes_read.append((self._bytes_read() - before) / len(weights))
            idle = self._watch(seen, places[:, 0])
            kept = np.asarray(weights) > 0
            first += int(kept.sum())
            labels = np.asarray(labels)[kept]
            part = _batch_measures(np.asarray(probabilities)[kept], labels)
            part["unknown"] = labels == self.unknown_class
            part |= {name: np.asarray(value)[kept] for name, value in idle.items()}
            if gains is not None:
                part["predicted_gain"] = np.asarray(gains)[kept].mean(axis=1)
            for epsilon, may_stop in zip(self.stop_epsilons, stops):
                part[f"stop {epsilon}"] = np.asarray(may_stop)[kept]
            parts.append(part)
            if len(locations) * len(kept) < _EXAMPLES_FOR_STATISTICS:
                locations.append(np.asarray(places)[:, 0][kept])
                size = np.broadcast_to(np.reshape(size, (-1, 2)), (len(kept), 2))
                sizes.append(size[kept])
        examples = {
            name: np.concatenate([part[name] for part in parts]) for name in parts[0]
        }
        return examples, self._statistics(locations, np.concatenate(sizes))

    def _inputs(self, images, positions):
        size = self.looker.network.image_sizes(images)
        if self.perturb is not None:
            images = self.perturb(images, positions)
        return self.looker.prepare(images), images, tf.convert_to_tensor(size)

    def _idle(self, images, locations):
        network = self.looker.network
        boxes = network.glimpse_boxes(locations, network.image_sizes(images))
        extremes = network.finest_extremes(images, locations)
        return idle_glimpses(extremes, locations, boxes, self.background)

    def _bytes_read(self):
        sensor = self.looker.network.sensor
        return 0 if sensor is None else sensor.windows.counts.bytes_read

    def _forget_tiles(self):
        """Counts from nothing: what another policy read is read again."""
        sensor = self.looker.network.sensor
        if sensor is not None:
            sensor.windows.cache.clear()
        self.bytes_read = []

    def _run(self, context, seed):
        looker = self.looker
        result = looker.look(context, seed)
        probabilities = looker.by_copy(ops.softmax(result.logits))
        gains = result.extras.get("gain")
        if gains is not None:
            gains = looker.by_copy(ops.max(gains, axis=-1))
        belief = ops.mean(probabilities, axis=1)
        stops = [looker.may_stop(rule, belief, result.extras) for rule in self.rules]
        stops = [stop for stop in stops if stop is not None]
        return probabilities, looker.by_copy(result.locations), gains, stops

    def _statistics(self, locations, sizes):
        sizes = sizes[:_EXAMPLES_FOR_STATISTICS]
        locations = np.concatenate(locations)[:_EXAMPLES_FOR_STATISTICS]
        boxes = self.looker.network.glimpse_boxes(locations, _one_size(sizes))
        return policy_statistics(locations, np.asarray(boxes), sizes)


def _one_size(sizes):
    """Sizes `(images, 2)` as `glimpse_boxes` takes them: one, where all are alike."""
    if (sizes == sizes[0]).all():
        return tuple(sizes[0].tolist())
    return sizes[:, None]


def _batch_measures(probabilities, labels):
    """Per-example measures from `(examples, copies, glimpses, classes)`."""
    tiny = np.finfo("float32").tiny
    mean = probabilities.mean(axis=1)
    likelihood = np.maximum(mean[np.arange(len(labels)), :, labels], tiny)
    correct = mean.argmax(axis=-1) == labels[:, None]
    own = probabilities.argmax(axis=-1) == labels[:, None, None]
    logs = np.log(np.maximum(probabilities, tiny))
    true = np.take_along_axis(logs, labels[:, None, None, None], axis=-1)[..., 0]
    gained = probabilities[:, :, 1:] * (logs[:, :, 1:] - logs[:, :, :-1])
    return {
        "accuracy": correct,
        "normalized_area": normalized_area(correct),
        "accuracy_one_sample": own.mean(axis=1),
        "nll": -np.log(likelihood),
        "confidence": mean.max(axis=-1),
        "likelihood_gain": likelihood_gains(true, probabilities.shape[-1]).mean(axis=1),
        "realised_gain": gained.sum(axis=-1).mean(axis=1),
    }


def averaged_measures(examples):
    """The measures that are means over images: name -> array `(those images, ...)`."""
    names = ["accuracy", "normalized_area", "accuracy_one_sample", "nll"]
    names += ["likelihood_gain", *TOLERATED]
    if "predicted_gain" in examples:
        names += ["predicted_gain", "realised_gain"]
    averaged = {name: examples[name] for name in names}
    for name, chosen in open_set(examples).items():
        averaged[f"accuracy_{name}"] = examples["accuracy"][chosen]
    return averaged


def open_set(examples):
    """Which examples are known and which unknown, where there are both."""
    unknown = examples["unknown"]
    both = unknown.any() and not unknown.all()
    return {"known": ~unknown, "unknown": unknown} if both else {}


def summarise(examples, stop_epsilons):
    """Returns the means over examples of what `Evaluator.by_example` measured."""
    correct, confidence = examples["accuracy"], examples["confidence"]
    summary = {
        name: values.mean(axis=0).tolist()
        for name, values in averaged_measures(examples).items()
    }
    summary["calibration_error"] = [
        calibration_error(confidence[:, t], correct[:, t])
        for t in range(correct.shape[1])
    ]
    if "predicted_gain" in examples:
        predicted, realised = examples["predicted_gain"], examples["realised_gain"]
        summary["gain_rank_correlation"] = [
            rank_correlation(predicted[:, t], realised[:, t])
            for t in range(predicted.shape[1])
        ]
    stopping = [
        {
            "epsilon": epsilon,
            **stop_early(correct, examples[f"stop {epsilon}"]),
        }
        for epsilon in stop_epsilons
        if f"stop {epsilon}" in examples
    ]
    return summary | ({"stopping": stopping} if stopping else {})
