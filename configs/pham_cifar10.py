"""PHAM on CIFAR-10, as published.

Rangrej and Clark 2021, arXiv 2111.07534: 7 glimpses of 8x8 pixels, chosen among 49.
1000, 100 and 100 passes over the images, Adam 1e-3, the step halved on plateaus.

Command: python train.py --dataset=cifar10 --datapath=DIR --training_phase=all
Not run yet. `pham_cifar10_short.py` is a recipe for two CPU cores.
"""

import pham_digits
from ml_collections import config_dict


def get_config():
    config = pham_digits.get_config()
    config.data = config_dict.ConfigDict(
        {
            "name": "cifar10",
            "datapath": config_dict.placeholder(str),
            "validation_fraction": 0.1,
            "seed": 0,
            "augment": ("crop", "flip", "color"),
        }
    )
    config.model.glimpse_size = 8
    config.model.feature_units = 128
    config.model.latent_units = 256
    config.model.hidden_units = 512
    config.model.num_flows = 4
    config.model.dropout = 0.5
    config.model.published_norm = False  # Its normalisation was a mistake.
    config.model.channel_variance = False
    config.model.imagined_steps = None
    # Every phase has the values of `train`; the first goes on for longer.
    for phase in config.phases.values():
        phase.epochs = None
        phase.steps_per_epoch = None
        phase.learning_rate = None
    config.phases.first.epochs = 1000
    config.phases.first.weights.classification = 1.0
    config.phases.third.weights.classification = 16.0
    config.train.epochs = 100
    config.train.steps_per_epoch = None  # An epoch is a pass over the images.
    config.train.learning_rate = 1e-3
    config.train.batch_size = 64
    config.train.num_glimpses = 7
    config.train.clip_norm = 10.0
    config.train.schedule = config_dict.ConfigDict(
        {
            "kind": "plateau",
            "monitor": "loss",
            "factor": 0.5,
            "patience": 25,
            "min_delta": 0.01,
            "minimum": 0.0,
        }
    )
    config.train.checkpoint_every_steps = 1000
    config.policy.num_samples = 20
    config.eval.batch_size = 50
    config.eval.seeds = 3
    config.runtime.xla = True
    return config
