"""Speed of an exported model, and what stopping early saves."""

import functools
import json

import numpy as np
import tensorflow as tf

from ram_tf import experiment, models, random
from ram_tf.benchmark.clock import paired_seconds
from ram_tf.benchmark.operations import refuse_windows
from ram_tf.errors import InputError
from ram_tf.files import write_json
from ram_tf.processors import num_processors
from ram_tf.serving import files, isolated, timing
from ram_tf.serving.served import Served


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
    restored = experiment.restore(workdir, dtype="float32")
    refuse_windows(restored.image_shape)
    version = files.last_version(folder)
    size = files.megabytes(version)
    results = {"megabytes": size}
    report(f"{version}: {size:.1f} MB")
    cores = num_processors()
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
    shape = (timing.BATCH, *restored.image_shape)
    images = tf.constant(np.random.default_rng(0).random(shape, "float32"))
    exported = tf.saved_model.load(str(version)).signatures["serving_default"]

    answer = Served.from_trained(restored).signatures["serving_default"]
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


# The options of a command, by name.
def measure_stopping(
    workdir,
    stops,
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
        stops: Sequence of what `AttentionModel.stop_number` reads.
        batch_size: Int. Test images; all of them, if there are fewer.
        datapath: Where the data are, or `None`, as trained.
        repeats: Int, timed calls of which the median counts.
        output: Path of a JSON file or `None`.
        report: Function of one line of text.

    Returns:
        List of `{"epsilon", "glimpses", "time_share"}`: the mean number of glimpses,
        and the time as a share of that of all glimpses of all images.
    """
    restored = experiment.restore(workdir)
    network, policy = restored.network, restored.pick()
    num_glimpses = restored.config.train.num_glimpses
    refuse_windows(restored.image_shape)
    dataset = experiment.load_data_for(restored, datapath, report)
    images, _ = dataset.some("test", batch_size)
    images = tf.constant(images)
    xla = restored.config.runtime.xla
    look = _whole_rollout(restored, xla)
    results = []
    for stop in stops:
        rule = network.make_stop_rule(network.stop_number(stop))
        epsilon = rule.epsilon
        report(rule.describe())
        looker = models.DynamicLooker(network, policy, num_glimpses, rule, xla=xla)
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
    looker = models.Looker(
        restored.network,
        restored.pick(),
        restored.config.train.num_glimpses,
        xla=xla,
        xla_sense=False,
    )

    @looker.compile
    def look(images):
        return looker.look(looker.prepare(images), random.make_seed(0)).logits

    return look
