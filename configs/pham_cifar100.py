"""PHAM on CIFAR-100, as published.

Rangrej and Clark 2021, arXiv 2111.07534: 7 glimpses of 8x8 pixels, chosen among 49.

Command: python train.py --dataset=cifar100 --datapath=DIR --training_phase=all
Not run yet.
"""

import pham_cifar10


def get_config():
    config = pham_cifar10.get_config()
    config.data.name = "cifar100"
    config.model.feature_units = 512
    config.model.latent_units = 1024
    config.model.hidden_units = 2048
    config.model.num_flows = 6
    return config
