"""PHAM on CIFAR-100, as published.

Rangrej and Clark 2021, arXiv 2111.07534: 7 glimpses of 8x8 pixels, chosen among 49.

Command: python train.py --dataset=cifar100 --datapath=DIR --training_phase=all
Not run yet.
"""

import common


def get_config():
    config = common.pham(
        feature_units=512, latent_units=1024, hidden_units=2048, num_flows=6
    )
    config.data = common.colour("cifar100", ("crop", "flip", "color"))
    return config
