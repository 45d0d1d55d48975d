"""PHAM on CIFAR-10, as published.

Rangrej and Clark 2021, arXiv 2111.07534: 7 glimpses of 8x8 pixels, chosen among 49.

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
    config.model.channel_variance = False
    config.model.imagined_steps = None
    config.train.steps_per_epoch = None
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
    config.train.epochs = 100
    config.phases.first.epochs = 1000
    config.phases.second.epochs = None
    config.phases.third.epochs = None
    config.train.checkpoint_every_steps = 1000
    config.eval.batch_size = 50
    config.eval.seeds = 3
    config.runtime.xla = True
    return config
