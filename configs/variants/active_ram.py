"""The four variants of active RAM, and the error head that is only fitted.

Lu 2019, NeurIPS workshop. `uncertainty` is lambda 1 and `intrinsic_belief` lambda 2.
"""

BASE = "configs/active_ram_mnist.py"

UNCERTAINTY = "phases.train.weights.uncertainty"
BELIEF = "phases.train.weights.intrinsic_belief"
FIT = "phases.train.weights.error_fit"

VARIANTS = {
    "plain": {UNCERTAINTY: 0.0, BELIEF: 0.0, FIT: 0.0},
    "uncertainty": {UNCERTAINTY: 1e-3, BELIEF: 0.0},
    "belief": {UNCERTAINTY: 0.0, BELIEF: 1.3, FIT: 0.0},
    "both": {UNCERTAINTY: 1e-3, BELIEF: 1.3},
    "fit_only": {UNCERTAINTY: 0.0, BELIEF: 0.0},
}
