"""Speed of a config's training and evaluation, as a share of matrix products."""

import copy
import functools
import subprocess
import sys
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf

from ram_tf import experiment, models, random
from ram_tf.benchmark.clock import (
    MATMUL_SIDE,
    matmul_call,
    median_seconds,
    paired_seconds,
)
from ram_tf.benchmark.operations import (
    forward_flops,
    frozen_pass,
    refuse_windows,
    step_flops,
)
from ram_tf.errors import InputError
from ram_tf.families import find_family
from ram_tf.files import write_json
from ram_tf.training.loop import Loop
from ram_tf.training.optimizers import make_optimizer
from ram_tf.training.strategy import make_strategy


# The options of a command, by name.
def run(
    config,
    *,
    image_size=None,
    start_command=None,
    repeats=15,
    output=None,
    report=print,
):
    """Measures the speed of a config's training and evaluation.

    Args:
        config: `ConfigDict`.
        image_size: `(height, width)` of random one-channel images of ten classes, or
            `None` to read the config's data and measure its pipeline too.
        start_command: Command line of `train.py`, a list of words without a workdir, to
            time to its first step, or `None`.
        repeats: Int, timed calls of which the median counts.
        output: Path of a JSON file or `None`.
        report: Function of one line of text.

    Returns:
        Dictionary of figures by name; for a family of several phases, one such
        dictionary under each phase's name.
    """
    experiment.setup_runtime(config.runtime)
    phases = find_family(config.family).phases
    results = {
        phase.name: _measure_phase(
            experiment.phase_config(config, phase), phase, image_size, repeats, report
        )
        for phase in phases
    }
    if len(phases) == 1:
        results = results[phases[0].name]
    if start_command:
        seconds = _seconds_to_first_step(start_command)
        results["first_step_seconds"] = seconds
        report(f"first training step {seconds:.1f} s after the command started")
    if output:
        write_json(output, results)
        report(f"wrote {output}")
    return results


def _measure_phase(config, phase, image_size, repeats, report):
    batch_size = config.train.batch_size
    if image_size:
        dataset, shape, num_classes = None, (*image_size, 1), 10
    else:
        dataset = experiment.load_data(config)
        shape, num_classes = dataset.image_shape, dataset.num_classes
        refuse_windows(shape)
    strategy = make_strategy(config.runtime.strategy)
    trainer = _build_trainer(config, phase, shape, num_classes, strategy)
    draw = np.random.default_rng(0)
    images = tf.constant(draw.integers(0, 256, (batch_size, *shape), dtype=np.uint8))
    labels = tf.constant(draw.integers(0, num_classes, batch_size))
    train = _training_call(trainer, strategy, images, labels)
    learned = experiment.build_policies(config)["learned"]
    results = _measure_calls(trainer, learned, train, images, repeats)
    report(
        f"{config.family} {phase.name}, batch {batch_size} of "
        f"{'x'.join(map(str, shape))}, {trainer.num_glimpses} glimpses: "
        f"matmul rate {results['matmul_gflops']:.0f} GFLOP/s"
    )
    for words, name, flops, counted in (
        ("training  ", "train", "flops", " (a step counted as three forward passes)"),
        ("evaluation", "eval", "eval_flops", ""),
    ):
        report(
            f"  {words} {results[f'{name}_images_per_second']:9,.0f} images/s of "
            f"{results[f'{flops}_per_image'] / 1e6:,.1f} MFLOP, "
            f"{results[f'{name}_fraction']:.0%} of the matmul rate{counted}"
        )
    forward_alone = tf.function(lambda: frozen_pass(trainer, batch_size))
    if forward_alone() is not None:
        *_, inverse = paired_seconds(train, forward_alone, repeats)
        results["backbone_ratio"] = 1 / inverse
        report(
            f"  a training step takes {1 / inverse:.2f} times the backbone's own "
            "forward pass on the pixels it must see"
        )
    if dataset is not None:
        bare, piped = _end_to_end(config, trainer, strategy, dataset, train, repeats)
        results["end_to_end_fraction"] = piped / bare
        report(
            f"  with the data pipeline and the loop {piped:9,.0f} images/s, "
            f"{piped / bare:.0%} of the bare step"
        )
        made = _pipeline_rate(dataset, batch_size, repeats)
        results["pipeline_images_per_second"] = made
        report(f"  the data pipeline alone {made:15,.0f} images/s")
    if dataset is not None and config.data.name == "folder":
        results["cached_pipeline_fraction"] = _cached_fraction(config, repeats, report)
    return results


def _build_trainer(config, phase, shape, num_classes, strategy):
    """A trainer with an optimizer, under a strategy."""
    with strategy.scope():
        network = experiment.build_network(config, shape, num_classes)
        trainer = experiment.build_trainer(config, phase, network)
        optimizer, _ = make_optimizer(
            config.train.learning_rate,
            {"kind": "constant"},
            total_steps=1,
            steps_per_epoch=1,
        )
        optimizer.build(trainer.trainable_variables)
        trainer.compile(optimizer=optimizer, jit_compile=False)
    return trainer


def _training_call(trainer, strategy, images, labels):
    """A call of one step, of which each replica does its part."""
    replicas = strategy.num_replicas_in_sync
    if len(images) % replicas:
        raise InputError(
            f"a batch of {len(images)} cannot be divided among {replicas} replicas: "
            "choose a multiple of their number (train.batch_size)."
        )
    part = images[: len(images) // replicas], labels[: len(images) // replicas]
    step = tf.autograph.experimental.do_not_convert(trainer.train_step)
    return tf.function(
        lambda: tf.nest.map_structure(
            strategy.experimental_local_results, strategy.run(step, args=(part,))
        )
    )


def _measure_calls(trainer, policy, train, images, repeats):
    """Rates of a training step and of an evaluation, beside a matrix product's."""
    batch_size, shape = len(images), tuple(images.shape[1:])
    train_flops = step_flops(trainer, shape)
    eval_flops = forward_flops(
        trainer.attention,
        policy,
        trainer.num_glimpses,
        shape,
        samples=trainer.eval_samples,
    )
    started = time.perf_counter()
    train()
    compile_seconds = time.perf_counter() - started
    product, product_flops = matmul_call(), 2 * MATMUL_SIDE**3
    train_seconds, product_seconds, ratio = paired_seconds(train, product, repeats)
    evaluate = _evaluation_call(trainer, policy, images)
    eval_seconds, _, eval_ratio = paired_seconds(evaluate, product, repeats)
    return {
        "train_images_per_second": batch_size / train_seconds,
        "eval_images_per_second": batch_size / eval_seconds,
        "flops_per_image": train_flops,
        "eval_flops_per_image": eval_flops,
        "matmul_gflops": product_flops / product_seconds / 1e9,
        "train_fraction": ratio * train_flops * batch_size / product_flops,
        "eval_fraction": eval_ratio * eval_flops * batch_size / product_flops,
        "compile_seconds": compile_seconds,
        "batch_size": batch_size,
        "parameters": trainer.network.count_params(),
    }


def _evaluation_call(trainer, policy, images):
    looker = models.Looker(
        trainer.attention,
        policy,
        trainer.num_glimpses,
        copies=trainer.eval_samples,
        xla=trainer.xla,
    )

    @looker.compile
    def look(context):
        return looker.look(context, random.make_seed(0)).logits

    prepare = tf.function(looker.prepare)
    return lambda: look(prepare(images))


def _end_to_end(config, trainer, strategy, dataset, train, repeats):
    """Images a second of the bare step and of the loop with its pipeline."""
    steps = max(2 * repeats, 4 * config.train.steps_per_execution)
    recorder = _RecordRate(config.train.batch_size)
    loop = Loop(trainer, strategy, config.train.steps_per_execution)

    batches = functools.partial(dataset.train_batches, config.train.batch_size, seed=0)
    bare, piped = [], []
    for _ in range(3):
        trainer.steps.assign(0)
        loop.train(batches, epochs=1, steps_per_epoch=steps, callbacks=[recorder])
        piped.append(recorder.rate)
        bare.append(config.train.batch_size / median_seconds(train, repeats))
    return float(np.median(bare)), float(np.median(piped))


def _pipeline_rate(dataset, batch_size, repeats):
    """Training images a second that the data pipeline makes, left to itself."""
    batches = iter(dataset.train_batches(batch_size, seed=0, num_steps=10 * repeats))
    next(batches)  # Which also starts it.
    started = time.perf_counter()
    count = sum(1 for _ in batches)
    return count * batch_size / (time.perf_counter() - started)


def _cached_fraction(config, repeats, report):
    """The pipeline's rate from the file that a folder too large for memory is kept in.

    Returns:
        Float, as a share of the rate from memory, both measured in turn; `None` of a
        folder that is too large.
    """
    # One of the two keys keeps the pictures in memory, the other in the file.
    memory, file = copy.deepcopy(config), copy.deepcopy(config)
    memory.data.cache_gigabytes, file.data.max_gigabytes = 0.0, 0.0
    try:
        memory = experiment.load_data(memory, report=_say_nothing)
    except InputError as error:
        report(f"  the data pipeline is from a file alone: {error}")
        return None
    datasets = memory, experiment.load_data(file, report=_say_nothing)
    rates = np.array(
        [
            [
                _pipeline_rate(each, config.train.batch_size, repeats)
                for each in datasets
            ]
            for _ in range(5)
        ]
    )
    rate, fraction = np.median(rates[:, 1]), np.median(rates[:, 1] / rates[:, 0])
    report(
        f"  from a file, as of a folder larger than memory, {rate:,.0f} images/s, "
        f"{fraction:.0%} of that from memory"
    )
    return float(fraction)


def _say_nothing(line):
    """What the data are was said when they were read the first time."""


class _RecordRate(keras.callbacks.Callback):
    """Images a second once a run has started: after its first call of the graph."""

    def __init__(self, batch_size):
        super().__init__()
        self.batch_size = batch_size
        self.rate = 0.0
        self._first = None

    def on_train_begin(self, logs=None):
        self._first = None

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        if self._first is None:
            self._first = (batch, now)
        else:
            batches = batch - self._first[0]
            self.rate = batches * self.batch_size / (now - self._first[1])


def _seconds_to_first_step(command):
    """Starts train.py as a user would and waits for its first step."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command, f"--workdir={folder}/run"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            for line in process.stdout:
                if "first step" in line:
                    return time.perf_counter() - started
        finally:
            process.kill()
            process.wait()
    raise InputError(
        "training ended before its first step: run the command to see why."
    )
