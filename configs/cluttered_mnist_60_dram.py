"""DRAM on cluttered MNIST, 60x60 with 4 pieces of other digits, 6 glimpses of 12x12 x2.

Ba et al. 2015, arXiv 1412.7755; sizes of a public reproduction. A coarse view of 24x24
pixels says where to begin.

Command: python train.py --config=configs/cluttered_mnist_60_dram.py --datapath=DIR
Not run yet. Published: 2.75 % error (a reproduction).
"""

import common


def get_config():
    config = common.dram(canvas=(60, 60), clutter=4)
    config.train.epochs = 150
    return config
