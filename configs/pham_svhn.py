"""PHAM on SVHN, as published: training on train and extra, without augmentation.

Rangrej and Clark 2021, arXiv 2111.07534: 7 glimpses of 8x8 pixels, chosen among 49.

Command: python train.py --dataset=svhn --datapath=DIR --training_phase=all
Not run yet.
"""

import common


def get_config():
    config = common.pham()
    config.data = common.colour("svhn", ())
    return config
