"""Speed, as a share of the rate at which this machine multiplies matrices."""

from ram_tf.benchmark.clock import matmul_call, paired_seconds
from ram_tf.benchmark.operations import forward_flops, step_flops
from ram_tf.benchmark.trained import measure_export, measure_stopping
from ram_tf.benchmark.training import run
from ram_tf.benchmark.windows import measure_windows

__all__ = [
    "forward_flops",
    "matmul_call",
    "measure_export",
    "measure_stopping",
    "measure_windows",
    "paired_seconds",
    "run",
    "step_flops",
]
