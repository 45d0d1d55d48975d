"""The four variants of active RAM, the error head that is only fitted, and our recipe.

Lu 2019, NeurIPS workshop. `uncertainty` is lambda 1 and `intrinsic_belief` lambda 2.
All but `recipe`, which is the config as it stands, have the published core and losses
and begin anywhere in the image.
"""

BASE = "configs/active_ram_mnist.py"

UNCERTAINTY = "phases.train.weights.uncertainty"
BELIEF = "phases.train.weights.intrinsic_belief"
FIT = "phases.train.weights.error_fit"
PUBLISHED = {
    "model.core.kind": "rectifier",
    "policy.first_fraction": 1.0,
    "phases.train.weights.early_classification": 0.0,
}

VARIANTS = {
    "plain": {**PUBLISHED, UNCERTAINTY: 0.0, BELIEF: 0.0, FIT: 0.0},
    "uncertainty": {**PUBLISHED, UNCERTAINTY: 1e-3, BELIEF: 0.0},
    "belief": {**PUBLISHED, UNCERTAINTY: 0.0, BELIEF: 1.3, FIT: 0.0},
    "both": {**PUBLISHED, UNCERTAINTY: 1e-3, BELIEF: 1.3},
    "fit_only": {**PUBLISHED, UNCERTAINTY: 0.0, BELIEF: 0.0},
    "recipe": {},
}
