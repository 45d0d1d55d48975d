"""PHAM on CINIC-10, as published: training on train and valid.

Rangrej and Clark 2021, arXiv 2111.07534: 7 glimpses of 8x8 pixels, chosen among 49.

Command: python train.py --dataset=cinic10 --datapath=DIR --training_phase=all
Not run yet.
"""

import common


def get_config():
    config = common.pham()
    config.data = common.colour("cinic10", ("crop", "flip", "color"))
    return config
