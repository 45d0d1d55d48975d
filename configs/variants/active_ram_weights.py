"""How heavy active RAM's two terms may be: too heavy an `uncertainty` and nothing is
doubted any more; `intrinsic_belief` keeps the class while looking on and on.

Lu 2019, NeurIPS workshop. Weights of means over the batch: the paper's lambda 1, 1e-5,
and lambda 2, 3e-3 to 1e-1, are sums over a batch of 128.
"""

BASE = "configs/active_ram_mnist.py"

UNCERTAINTY = "phases.train.weights.uncertainty"
BELIEF = "phases.train.weights.intrinsic_belief"

VARIANTS = {
    **{
        f"uncertainty_{weight:g}": {UNCERTAINTY: weight, BELIEF: 0.0}
        for weight in (1e-3, 1e-2, 1e-1)
    },
    **{
        f"belief_{weight:g}": {UNCERTAINTY: 1e-3, BELIEF: weight}
        for weight in (1e-2, 1e-1, 0.4, 1.3)
    },
}
