"""DRAM on cluttered MNIST, 100x100, with the place of 1 % of the digits known.

`cluttered_mnist_100_dram.py`, half of its training.

Command: python train.py --config=configs/cluttered_mnist_100_dram_places.py
    --datapath=DIR
Not run yet. Published: 2.59 % error (a reproduction; the weight of its loss decays, and
ours stays).
"""

import cluttered_mnist_100_dram
import common


def get_config():
    config = cluttered_mnist_100_dram.get_config()
    config = common.know_places(config, share=0.01, weight=100.0)
    config.train.epochs = 75
    return config
