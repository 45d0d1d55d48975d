"""Photographs: the keys of the attention phase, from one pre-trained backbone.

Search with `--training_phase=attend --pretrain_checkpoint=DIR`. A conditional key: the
attention's width matters where the emission is one.
"""

BASE = "configs/photos_small.py"

SPACE = {
    "train.learning_rate": lambda hp, name: hp.Float(name, 3e-5, 3e-3, sampling="log"),
    "train.mc_samples": lambda hp, name: hp.Choice(name, [1, 4]),
    "policy.stddev": lambda hp, name: hp.Float(name, 0.05, 0.4, sampling="log"),
    "phases.attend.weights.reinforce": lambda hp, name: hp.Float(
        name, 0.01, 1.0, sampling="log"
    ),
    "model.core.units": lambda hp, name: hp.Choice(name, [128, 256, 512]),
    "model.emission": lambda hp, name: (
        {"kind": "attention", "units": hp.Choice(f"{name}.attention_units", [32, 128])}
        if hp.Choice(f"{name}.kind", ["attention", "recurrent"]) == "attention"
        else {"kind": "recurrent", "units": 128}
    ),
}
