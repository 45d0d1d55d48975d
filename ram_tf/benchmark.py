"""Speed, as a share of the rate at which this machine multiplies matrices."""

import subprocess
import sys
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf

from ram_tf import experiment, layers, models, policies, random
from ram_tf.families import FAMILIES
from ram_tf.ops import repeat_examples
from ram_tf.training.loop import Loop
from ram_tf.training.optimizers import make_optimizer
from ram_tf.training.strategy import make_strategy

_COUNTED = ("MatMul", "BatchMatMulV2", "Conv2D", "DepthwiseConv2dNative", "Einsum")


def run(
    config,
    *,
    image_size=None,
    retina=False,
    start_command=None,
    config_file=None,
    repeats=15,
    output=None,
    report=print,
):
    """Measures the speed of a config's training and evaluation.

    Args:
        config: `ConfigDict`.
        image_size: `(height, width)` of random one-channel images of ten classes, or
            `None` to read the config's data and measure its pipeline too.
        retina: Boolean. Also compare six glimpses of 1024x1024 with those of 64x64.
        start_command: Path of `train.py` to time to its first step, or `None`.
        config_file: Path of the config file, for that.
        repeats: Int, timed calls of which the median counts.
        output: Path of a JSON file or `None`.
        report: Function of one line of text.

    Returns:
        Dictionary of figures by name; for a family of several phases, one such
        dictionary under each phase's name.
    """
    experiment.setup_runtime(config.runtime)
    phases = FAMILIES[config.family].phases
    results = {
        phase.name: _measure_phase(config, phase, image_size, repeats, report)
        for phase in phases
    }
    if len(phases) == 1:
        results = results[phases[0].name]
    if retina:
        results |= _compare_image_sizes(repeats, report)
    if start_command:
        seconds = _seconds_to_first_step(start_command, config_file, config)
        results["first_step_seconds"] = seconds
        report(f"first training step {seconds:.1f} s after the command started")
    if output:
        experiment.write_json(output, results)
        report(f"wrote {output}")
    return results


def matmul_gflops(repeats=7, side=2048):
    """The float32 rate of one `side`^3 matrix product, in GFLOP/s."""
    a = tf.random.stateless_normal((side, side), (0, 0))
    product = tf.function(lambda: tf.linalg.matmul(a, a))
    return 2 * side**3 / _median_seconds(product, repeats) / 1e9


def forward_flops(network, policy, num_glimpses, image_shape):
    """Floating-point operations of one image's rollout: products and convolutions."""

    @tf.function
    def forward(images):
        seed = random.make_seed(0)
        context = network.prepare(images)
        return models.rollout(network, policy, context, num_glimpses, seed=seed).logits

    spec = tf.TensorSpec((1, *image_shape), tf.uint8)
    graph = forward.get_concrete_function(spec).graph
    total = 0
    for operation in graph.get_operations():
        if operation.type in _COUNTED:
            statistics = tf.compat.v1.get_stats_for_node_def(
                graph, operation.node_def, "flops"
            )
            total += statistics.value or 0
    return total


def _measure_phase(config, phase, image_size, repeats, report):
    batch_size = config.train.batch_size
    if image_size:
        dataset, shape, num_classes = None, (*image_size, 1), 10
    else:
        dataset = experiment.load_data(config)
        shape, num_classes = dataset.image_shape, dataset.num_classes
    strategy = make_strategy(config.runtime.strategy)
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
    draw = np.random.default_rng(0)
    images = tf.constant(draw.integers(0, 256, (batch_size, *shape), dtype=np.uint8))
    labels = tf.constant(draw.integers(0, num_classes, batch_size))
    step = tf.autograph.experimental.do_not_convert(trainer.train_step)
    train = tf.function(lambda: strategy.run(step, args=((images, labels),)))
    evaluate = _evaluation_call(trainer, images)
    flops = forward_flops(network, trainer.policy, trainer.num_glimpses, shape)
    started = time.perf_counter()
    train()
    compile_seconds = time.perf_counter() - started
    rate = matmul_gflops()
    train_rate = batch_size / _median_seconds(train, repeats)
    eval_rate = batch_size / _median_seconds(evaluate, repeats)
    rate = (rate + matmul_gflops()) / 2
    samples = config.train.mc_samples
    results = {
        "train_images_per_second": train_rate,
        "eval_images_per_second": eval_rate,
        "flops_per_image": flops,
        "matmul_gflops": rate,
        "train_fraction": 3 * flops * samples * train_rate / rate / 1e9,
        "eval_fraction": flops * eval_rate / rate / 1e9,
        "compile_seconds": compile_seconds,
        "batch_size": batch_size,
        "parameters": network.count_params(),
    }
    report(
        f"{config.family} {phase.name}, batch {batch_size} of "
        f"{'x'.join(map(str, shape))}, {trainer.num_glimpses} glimpses: "
        f"{flops / 1e6:.2f} MFLOP an image forward, matmul rate {rate:.0f} GFLOP/s"
    )
    report(
        f"  training   {train_rate:9,.0f} images/s, {results['train_fraction']:.0%} of "
        "the matmul rate (a step counted as three forward passes)"
    )
    report(
        f"  evaluation {eval_rate:9,.0f} images/s, {results['eval_fraction']:.0%} of "
        "the matmul rate"
    )
    if dataset is not None:
        bare, piped = _end_to_end(config, trainer, strategy, dataset, train, repeats)
        results["end_to_end_fraction"] = piped / bare
        report(
            f"  with the data pipeline and the loop {piped:9,.0f} images/s, "
            f"{piped / bare:.0%} of the bare step"
        )
    return results


def _evaluation_call(trainer, images):
    copies = trainer.eval_samples

    @tf.function(jit_compile=trainer.xla)
    def look(context):
        return models.rollout(
            trainer.network,
            trainer.policy,
            context,
            trainer.num_glimpses,
            seed=random.make_seed(0),
        ).logits

    (copied,) = repeat_examples(copies, images)
    prepare = tf.function(trainer.network.prepare)
    return lambda: look(prepare(copied))


def _end_to_end(config, trainer, strategy, dataset, train, repeats):
    """Images a second of the bare step and of the loop with its pipeline."""
    steps = max(4 * repeats, 2 * config.train.steps_per_execution)
    recorder = _RecordRate()
    loop = Loop(trainer, strategy, config.train.steps_per_execution)

    def batches(start_step, num_steps):
        return dataset.train_batches(
            config.train.batch_size, seed=0, start_step=start_step, num_steps=num_steps
        )

    bare, piped = [], []
    for _ in range(3):
        trainer.optimizer.iterations.assign(0)
        loop.train(batches, epochs=1, steps_per_epoch=steps, callbacks=[recorder])
        piped.append(recorder.rate)
        bare.append(config.train.batch_size / _median_seconds(train, repeats))
    return float(np.median(bare)), float(np.median(piped))


class _RecordRate(keras.callbacks.Callback):
    rate = 0.0

    def on_train_batch_end(self, batch, logs=None):
        self.rate = logs["images_per_second"]


def _compare_image_sizes(repeats, report):
    """Six glimpses of 12x12 at 3 scales on 1024x1024 and on 64x64 images."""
    seconds = {}
    batch_size = 64
    for side in (64, 1024):
        network = models.RAM(10, retina=layers.Retina(12, 3))
        network.build((None, side, side, 1))
        images = np.random.default_rng(0).integers(
            0, 256, (batch_size, side, side, 1), dtype=np.uint8
        )
        images = tf.constant(images)

        @tf.function(jit_compile=True)
        def look(images, network=network):
            seed = random.make_seed(0)
            context = network.prepare(images)
            policy = policies.GaussianPolicy()
            return models.rollout(network, policy, context, 6, seed=seed).logits

        seconds[side] = _median_seconds(lambda f=look, x=images: f(x), 2 * repeats)
    ratio = seconds[1024] / seconds[64]
    report(
        f"6 glimpses of 12x12 at 3 scales, {batch_size} images: "
        f"{1e3 * seconds[1024]:.1f} ms on 1024x1024, {1e3 * seconds[64]:.1f} ms on "
        f"64x64, ratio {ratio:.2f}"
    )
    return {"large_image_ratio": ratio}


def _seconds_to_first_step(command, config_file, config):
    """Starts train.py as a user would and waits for its first step."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [sys.executable, command, f"--config={config_file}"]
        if config.data.datapath:
            arguments.append(f"--datapath={config.data.datapath}")
        started = time.perf_counter()
        process = subprocess.Popen(
            [*arguments, f"--workdir={folder}/run"],
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
    raise RuntimeError("train.py ended before its first step")


def _median_seconds(function, repeats):
    _wait(function())
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        _wait(function())
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def _wait(result):
    for tensor in tf.nest.flatten(result):
        np.asarray(tensor)
