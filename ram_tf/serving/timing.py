"""Times an exported model in a process of its own, on so many cores.

Run as a script, by `isolated.run`:

  timing.py VERSION CORES REPEATS

Prints JSON: `load_seconds`, `p50_ms` and `p99_ms` of one image, `images_per_second` of
batches of 64.
"""

import json
import os
import sys
import time

BATCH = 64


def main(version, cores, repeats):
    """Prints the figures of one version on so many cores."""
    pinned = _pin(int(cores))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import numpy as np
    import tensorflow as tf

    if not pinned:
        tf.config.threading.set_intra_op_parallelism_threads(int(cores))
        tf.config.threading.set_inter_op_parallelism_threads(int(cores))
    started = time.perf_counter()
    model = tf.saved_model.load(version)
    load_seconds = time.perf_counter() - started
    classify = model.signatures["serving_default"]
    shape = classify.structured_input_signature[1]["images"].shape[1:]
    draw = np.random.default_rng(0)

    def seconds(batch, count):
        images = tf.constant(draw.random((batch, *shape), "float32"))
        times = []
        for _ in range(count + 2):
            started = time.perf_counter()
            classify(images=images)["probabilities"].numpy()
            times.append(time.perf_counter() - started)
        return np.array(times[2:])

    repeats = int(repeats)
    one, many = seconds(1, 10 * repeats), seconds(BATCH, repeats)
    p50, p99 = 1e3 * np.percentile(one, [50, 99])
    figures = {
        "load_seconds": load_seconds,
        "p50_ms": p50,
        "p99_ms": p99,
        "images_per_second": BATCH / np.median(many),
    }
    print(json.dumps(figures))


def _pin(cores):
    """Keeps this process to so many cores; returns whether the system can."""
    try:
        available = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, available[:cores])
    except AttributeError:  # Linux alone can.
        return False
    return True


if __name__ == "__main__":
    main(*sys.argv[1:])
