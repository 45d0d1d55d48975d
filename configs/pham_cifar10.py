"""PHAM on CIFAR-10, as published.

Rangrej and Clark 2021, arXiv 2111.07534: 7 glimpses of 8x8 pixels, chosen among 49.
1000, 100 and 100 passes over the images, Adam 1e-3, the step halved on plateaus.

Command: python train.py --dataset=cifar10 --datapath=DIR --training_phase=all
Not run yet. `pham_cifar10_short.py` is a recipe for two CPU cores.
"""

import common


def get_config():
    config = common.pham()
    config.data = common.colour("cifar10", ("crop", "flip", "color"))
    return config
