"""PHAM: the keys that every phase has; `--training_phase` says for which to search.

A conditional key: dropout matters where the classifier trains.
"""

BASE = "configs/pham_digits.py"

SPACE = {
    "train.learning_rate": lambda hp, name: hp.Float(name, 1e-4, 1e-2, sampling="log"),
    "train.batch_size": lambda hp, name: hp.Choice(name, [16, 32, 64]),
    "train.clip_norm": lambda hp, name: hp.Choice(name, [1.0, 10.0]),
    "model.dropout": lambda hp, name: hp.Float(name, 0.0, 0.5, step=0.25),
}
