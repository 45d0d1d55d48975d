"""MRAM on MNIST: 7 glimpses of 8x8 pixels at one scale, the lower of two layers looks.

arXiv 2505.13191.

Command: python train.py --config=configs/mram_mnist.py --datapath=DIR
Not run yet. Published: 0.80 % error.
"""

import common


def get_config():
    config = common.mram()
    config.train.num_glimpses = 7
    config.train.epochs = 95
    return config
