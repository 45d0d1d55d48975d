"""Speed, as a share of the rate at which this machine multiplies matrices."""

import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf

from ram_tf import experiment, export, layers, models, policies, random, trained
from ram_tf.errors import InputError
from ram_tf.families import find_family
from ram_tf.files import write_json
from ram_tf.serving import files, isolated, timing
from ram_tf.training.loop import Loop
from ram_tf.training.optimizers import make_optimizer
from ram_tf.training.strategy import make_strategy

_COUNTED = ("MatMul", "BatchMatMulV2", "Conv2D", "DepthwiseConv2dNative")


def run(
    config,
    *,
    image_size=None,
    retina=False,
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
        retina: Boolean. Also compare six glimpses of 1024x1024 with those of 64x64.
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
    if retina:
        results |= _compare_image_sizes(repeats, report)
    if start_command:
        seconds = _seconds_to_first_step(start_command)
        results["first_step_seconds"] = seconds
        report(f"first training step {seconds:.1f} s after the command started")
    if output:
        write_json(output, results)
        report(f"wrote {output}")
    return results


def measure_export(folder, workdir, *, repeats=15, output=None, report=print):
    """Measures an exported model alone and against the model in memory.

    In memory without XLA is the function that was exported; with XLA it is the rollout
    alone, as XLA knows no strings, which the answer holds.

    Args:
        folder: Folder of the model, with version folders inside; the last one counts.
        workdir: The run that it was exported from.
        repeats: Int, timed calls of which the median counts.
        output: Path of a JSON file or `None`.
        report: Function of one line of text.

    Returns:
        Dictionary of figures by name.
    """
    version = files.last_version(folder)
    size = files.megabytes(version)
    results = {"megabytes": size}
    report(f"{version}: {size:.1f} MB")
    cores = len(os.sched_getaffinity(0))
    for count in sorted({1, min(2, cores)}):
        done = isolated.run(timing.__file__, version, count, repeats)
        if done.returncode:
            raise InputError(
                f"{version} cannot be loaded and asked: {done.stderr.strip()[-300:]}"
            )
        figures = json.loads(done.stdout)
        results[f"cores_{count}"] = figures
        report(
            f"  {count} core(s): loaded in {figures['load_seconds']:.1f} s; one image "
            f"{figures['p50_ms']:.2f} ms (p99 {figures['p99_ms']:.2f}); batches of "
            f"{timing.BATCH} {figures['images_per_second']:,.0f} images/s"
        )
    restored = trained.restore(workdir, dtype="float32")
    shape = (timing.BATCH, *restored.image_shape)
    images = tf.constant(np.random.default_rng(0).random(shape, "float32"))
    exported = tf.saved_model.load(str(version)).signatures["serving_default"]

    answer = export.Served.from_trained(restored).signatures["serving_default"]
    look = _whole_rollout(restored, xla=True)
    for name, in_memory in (("without XLA", answer), ("with XLA", look)):
        *_, ratio = paired_seconds(
            functools.partial(in_memory, images),
            functools.partial(exported, images=images),
            repeats,
        )
        results[f"time_over_memory {name}"] = float(ratio)
        report(f"  takes {ratio:.2f} times as long as the model in memory {name}")
    if output:
        write_json(output, results)
        report(f"wrote {output}")
    return results


def measure_stopping(
    workdir,
    epsilons,
    *,
    batch_size=512,
    datapath=None,
    repeats=15,
    output=None,
    report=print,
):
    """Measures what stopping early saves on a batch of test images.

    Args:
        workdir: Folder of a run of a family that knows when to stop.
        epsilons: Sequence of floats, see `AttentionModel.may_stop`.
        batch_size: Int. Test images; all of them, if there are fewer.
        datapath: Where the data are, or `None`, as trained.
        repeats: Int, timed calls of which the median counts.
        output: Path of a JSON file or `None`.
        report: Function of one line of text.

    Returns:
        List of `{"epsilon", "glimpses", "time_share"}`: the mean number of glimpses,
        and the time as a share of that of all glimpses of all images.
    """
    restored = trained.restore(workdir)
    network, policy = restored.network, restored.pick()
    num_glimpses = restored.config.train.num_glimpses
    dataset = trained.load_data(restored, datapath, report)
    images, _ = dataset.some("test", batch_size)
    images = tf.constant(images)
    xla = restored.config.runtime.xla
    look = _whole_rollout(restored, xla)
    results = []
    for epsilon in epsilons:
        looker = models.DynamicLooker(network, policy, num_glimpses, epsilon, xla=xla)
        glimpses = float(looker(images)["num_glimpses"].mean())
        *_, share = paired_seconds(
            functools.partial(look, images), functools.partial(looker, images), repeats
        )
        results.append(
            {"epsilon": epsilon, "glimpses": glimpses, "time_share": float(share)}
        )
        report(
            f"  epsilon {epsilon:g}: {glimpses:.2f} of {num_glimpses} glimpses on "
            f"average, {share:.2f} of the time of all, {len(images)} images at once"
        )
    if output:
        write_json(output, results)
        report(f"wrote {output}")
    return results


def _whole_rollout(restored, xla):
    """A function of images: all glimpses that a trained model was trained to take."""
    network, policy = restored.network, restored.pick()

    @tf.function(jit_compile=xla, autograph=False)
    def look(images):
        return models.rollout(
            network,
            policy,
            network.prepare(images),
            restored.config.train.num_glimpses,
            seed=random.make_seed(0),
        ).logits

    return look


_MATMUL_SIDE = 2048


def matmul_call():
    """Returns a call of one 2048^3 float32 matrix product."""
    a = tf.random.stateless_normal((_MATMUL_SIDE, _MATMUL_SIDE), (0, 0))
    return tf.function(lambda: tf.linalg.matmul(a, a))


def paired_seconds(function, reference, repeats):
    """Times two calls in turn, so that a machine that slows down slows both.

    Returns:
        Median seconds of each, and the median over pairs of reference / function.
    """
    _wait(function())
    _wait(reference())
    pairs = np.array(
        [(_seconds(function), _seconds(reference)) for _ in range(repeats)]
    )
    ratio = np.median(pairs[:, 1] / pairs[:, 0])
    return (*np.median(pairs, axis=0), ratio)


def forward_flops(
    network,
    policy,
    num_glimpses,
    image_shape,
    reading=None,
    training=False,
    samples=1,
):
    """Floating-point operations of one image's rollout: products and convolutions.

    A convolution that a layer computes with fewer products counts as a direct one.

    Args:
        network: A built `AttentionModel`.
        policy: Where to look.
        num_glimpses: Int.
        image_shape: `(height, width, channels)`.
        reading: Options of the network's `read`, or `None`.
        training: Boolean. What a training step computes.
        samples: Int. Rollouts of the image, which share what is prepared once.
    """

    def look(images, num_glimpses):
        return models.rollout(
            network,
            _Unrolled(policy),
            network.prepare(images),
            num_glimpses,
            seed=random.make_seed(0),
            training=training,
            reading=reading,
        ).logits

    def looks(num_glimpses):
        return _flops(network, lambda images: look(images, num_glimpses), image_shape)

    if num_glimpses == 1 or training:  # Training need not do the same every glimpse.
        once = looks(num_glimpses)
    else:
        once = looks(1) + (num_glimpses - 1) * (looks(2) - looks(1))
    if samples == 1:
        return once
    prepared = _flops(network, network.prepare, image_shape)
    return samples * once - (samples - 1) * prepared


def _flops(network, function, image_shape):
    """Operations of a function of images on each, without what is done but once."""
    counts = []
    for batch_size in (1, 2):
        images = tf.TensorSpec((batch_size, *image_shape), tf.uint8)
        with _saved_flops(network) as saved:
            traced = tf.function(function, autograph=False)
            graph = traced.get_concrete_function(images).graph
        counts.append(sum(saved) + _graph_flops(graph))
    return counts[1] - counts[0]


def _graph_flops(graph):
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder(
        profiler.ProfileOptionBuilder.float_operation()
    )
    by_type = profiler.profile(
        graph, cmd="op", options=options.with_empty_output().build()
    )
    return sum(
        node.total_float_ops - sum(child.total_float_ops for child in node.children)
        for node in _walk(by_type)
        if node.name in _COUNTED
    )


def step_flops(trainer, image_shape):
    """Floating-point operations of one image in a training step, in all its copies.

    Three forward passes; a policy that plans ahead without gradients adds one of its
    own, and a frozen backbone has but one.
    """
    policy, planned, samples = trainer.policy, 0, trainer.mc_samples
    if isinstance(policy, policies.PlannedAhead):
        planned = forward_flops(
            trainer.looker,
            policy.policy,
            trainer.num_glimpses,
            image_shape,
            samples=samples,
        )
        policy = policies.RandomCells()  # The glimpses once they are known.
    looked = forward_flops(
        trainer.looker,
        policy,
        trainer.num_glimpses,
        image_shape,
        trainer.phase.reading,
        training=True,
        samples=samples,
    )
    looker = trainer.looker
    if isinstance(looker, models.FineGrained) and not looker.backbone.trainable:
        planned -= 2 * _flops(
            looker,
            lambda images: _see_all(trainer, images.shape[0], image_shape[-1]),
            image_shape,
        )
    return planned + 3 * looked


class _Unrolled:
    """A policy whose rollout is unrolled: operations inside a loop are not counted."""

    unroll = True

    def __init__(self, policy):
        self._policy = policy

    def __getattr__(self, name):
        return getattr(self._policy, name)

    def __call__(self, *args, **kwargs):
        return self._policy(*args, **kwargs)


@contextlib.contextmanager
def _saved_flops(network):
    """Collects, call by call, what layers with a fast algorithm save."""
    saved = []
    fast = [x for x in network._flatten_layers() if hasattr(x, "saved_flops")]

    def counted(layer, call):
        def count_and_call(inputs):
            saved.append(inputs.shape[0] * layer.saved_flops)
            return call(inputs)

        return count_and_call

    for layer in fast:
        layer.call = counted(layer, layer.call)
    try:
        yield saved
    finally:
        for layer in fast:
            del layer.call


def _walk(node):
    yield node
    for child in node.children:
        yield from _walk(child)


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
    learned = experiment.build_policies(config)["learned"]
    evaluate = _evaluation_call(trainer, learned, images)
    train_flops = step_flops(trainer, shape)
    eval_flops = forward_flops(
        trainer.looker,
        learned,
        trainer.num_glimpses,
        shape,
        samples=trainer.eval_samples,
    )
    started = time.perf_counter()
    train()
    compile_seconds = time.perf_counter() - started
    product, product_flops = matmul_call(), 2 * _MATMUL_SIDE**3
    train_seconds, product_seconds, ratio = paired_seconds(train, product, repeats)
    eval_seconds, _, eval_ratio = paired_seconds(evaluate, product, repeats)
    train_work = train_flops * batch_size / product_flops
    eval_work = eval_flops * batch_size / product_flops
    train_rate, eval_rate = batch_size / train_seconds, batch_size / eval_seconds
    rate = product_flops / product_seconds / 1e9
    results = {
        "train_images_per_second": train_rate,
        "eval_images_per_second": eval_rate,
        "flops_per_image": train_flops,
        "eval_flops_per_image": eval_flops,
        "matmul_gflops": rate,
        "train_fraction": ratio * train_work,
        "eval_fraction": eval_ratio * eval_work,
        "compile_seconds": compile_seconds,
        "batch_size": batch_size,
        "parameters": network.count_params(),
    }
    report(
        f"{config.family} {phase.name}, batch {batch_size} of "
        f"{'x'.join(map(str, shape))}, {trainer.num_glimpses} glimpses: "
        f"matmul rate {rate:.0f} GFLOP/s"
    )
    report(
        f"  training   {train_rate:9,.0f} images/s of {train_flops / 1e6:,.1f} MFLOP, "
        f"{results['train_fraction']:.0%} of the matmul rate (a step counted as three "
        "forward passes)"
    )
    report(
        f"  evaluation {eval_rate:9,.0f} images/s of {eval_flops / 1e6:,.1f} MFLOP, "
        f"{results['eval_fraction']:.0%} of the matmul rate"
    )
    if isinstance(trainer.looker, models.FineGrained):
        see_all = tf.function(lambda: _see_all(trainer, len(images), shape[-1]))
        *_, inverse = paired_seconds(train, see_all, repeats)
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
    return results


def _evaluation_call(trainer, policy, images):
    @tf.function(jit_compile=trainer.xla)
    def look(context):
        return models.rollout(
            trainer.looker,
            policy,
            context,
            trainer.num_glimpses,
            seed=random.make_seed(0),
            sense=trainer.sense,
            copies=trainer.eval_samples,
        ).logits

    prepare = tf.function(trainer.looker.prepare)
    return lambda: look(prepare(images))


def _see_all(trainer, num_images, channels):
    """The backbone alone, on the coarse view of each image and on its glimpses."""
    network = trainer.looker
    glimpses = trainer.mc_samples * trainer.num_glimpses * network.num_scales
    side = network.size
    pixels = tf.zeros((num_images * (1 + glimpses), side, side, channels))
    return network.backbone(pixels, training=False)


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
        bare.append(config.train.batch_size / _median_seconds(train, repeats))
    return float(np.median(bare)), float(np.median(piped))


def _pipeline_rate(dataset, batch_size, repeats):
    """Training images a second that the data pipeline makes, left to itself."""
    batches = iter(dataset.train_batches(batch_size, seed=0, num_steps=10 * repeats))
    next(batches)  # Which also starts it.
    started = time.perf_counter()
    count = sum(1 for _ in batches)
    return count * batch_size / (time.perf_counter() - started)


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


def _compare_image_sizes(repeats, report):
    """Six glimpses of 12x12 at 3 scales on 1024x1024 and on 64x64 images."""
    batch_size = 64
    calls = {side: _glimpses_call(side, batch_size) for side in (64, 1024)}
    small, large, ratio = paired_seconds(calls[64], calls[1024], 2 * repeats)
    report(
        f"6 glimpses of 12x12 at 3 scales, {batch_size} images: {1e3 * large:.1f} ms "
        f"on 1024x1024, {1e3 * small:.1f} ms on 64x64, ratio {ratio:.2f}"
    )
    return {"large_image_ratio": float(ratio)}


def _glimpses_call(side, batch_size):
    network = models.RAM(10, retina=layers.Retina(12, 3))
    network.build((None, side, side, 1))
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (batch_size, side, side, 1), dtype=np.uint8)
    images = tf.constant(images)

    @tf.function(jit_compile=True)
    def look(images):
        seed = random.make_seed(0)
        context = network.prepare(images)
        policy = policies.GaussianPolicy()
        return models.rollout(network, policy, context, 6, seed=seed).logits

    return lambda: look(images)


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
    raise InputError("train.py ended before its first step: run it to see why.")


def _median_seconds(function, repeats):
    _wait(function())
    return float(np.median([_seconds(function) for _ in range(repeats)]))


def _seconds(function):
    started = time.perf_counter()
    _wait(function())
    return time.perf_counter() - started


def _wait(result):
    for tensor in tf.nest.flatten(result):
        np.asarray(tensor)
