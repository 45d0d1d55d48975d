"""PHAM on Tiny ImageNet, as published.

Rangrej and Clark 2021, arXiv 2111.07534: 7 glimpses of 16x16 pixels of 64x64, chosen
among 49.

Command: python train.py --dataset=tinyimagenet --datapath=DIR --training_phase=all
Not run yet.
"""

import common


def get_config():
    config = common.pham(
        feature_units=512, latent_units=1024, hidden_units=2048, num_flows=6
    )
    config.model.glimpse_size = 16
    config.data = common.colour("tinyimagenet", ("crop", "flip", "color"))
    return config
