"""Active RAM: its two lambdas, and sigma."""

BASE = "configs/active_ram_mnist.py"

SPACE = {
    "phases.train.weights.uncertainty": lambda hp, name: hp.Float(
        name, 1e-5, 1e-2, sampling="log"
    ),
    "phases.train.weights.intrinsic_belief": lambda hp, name: hp.Float(
        name, 1e-2, 10.0, sampling="log"
    ),
    "model.location.stddev": lambda hp, name: hp.Float(name, 0.05, 0.2),
}
