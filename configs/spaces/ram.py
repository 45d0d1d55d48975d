"""RAM, as its TensorFlow version was searched: the decay of the learning rate, sigma,
and the weight of the REINFORCE term.
"""

BASE = "configs/ram_digits.py"

SPACE = {
    "train.schedule": lambda hp, name: {
        "kind": "exponential",
        "rate": hp.Float(f"{name}.rate", 0.93, 0.99),
        "every_steps": hp.Int(f"{name}.every_steps", 350, 650),
        "minimum": 1e-4,
    },
    "train.learning_rate": lambda hp, name: hp.Float(name, 3e-4, 3e-3, sampling="log"),
    "model.location.stddev": lambda hp, name: hp.Float(name, 0.075, 0.125),
    "phases.train.weights.reinforce": lambda hp, name: hp.Float(name, 1.0, 1.4),
}
