"""DRAM on cluttered MNIST, 100x100 with 8 pieces of other digits, glimpses of 12x12 x2.

Ba et al. 2015, arXiv 1412.7755; sizes of a public reproduction. A coarse view of 24x24
pixels says where to begin.

Command: python train.py --config=configs/cluttered_mnist_100_dram.py --datapath=DIR
Not run yet. Published: 2.00 % error with 6 glimpses, 1.71 with 8 (a reproduction).
"""

import common


def get_config():
    config = common.dram(canvas=(100, 100), clutter=8)
    config.train.epochs = 150
    return config
