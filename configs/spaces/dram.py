"""DRAM: what decides how well it learns where to look."""

BASE = "configs/dram_digits.py"

SPACE = {
    "train.learning_rate": lambda hp, name: hp.Float(name, 3e-4, 3e-3, sampling="log"),
    "model.location.stddev": lambda hp, name: hp.Float(name, 0.03, 0.2, sampling="log"),
    "model.location.mean_scale": lambda hp, name: hp.Float(
        name, 0.01, 1.0, sampling="log"
    ),
    "phases.train.weights.reinforce": lambda hp, name: hp.Float(name, 0.3, 3.0),
}
