"""PHAM on Tiny ImageNet, as published.

Rangrej and Clark 2021, arXiv 2111.07534: 7 glimpses of 16x16 pixels of 64x64, chosen
among 49.

Command: python train.py --dataset=tinyimagenet --datapath=DIR --training_phase=all
Not run yet.
"""

import pham_cifar100


def get_config():
    config = pham_cifar100.get_config()
    config.data.name = "tinyimagenet"
    config.model.glimpse_size = 16
    return config
