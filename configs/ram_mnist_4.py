"""RAM on MNIST with 4 glimpses of 8x8 pixels.

Mnih et al. 2014, arXiv 1406.6247, table 1a ("RAM, 4 glimpses, 8x8, 1 scale": 1.73 %
error).

Command: python train.py --config=configs/ram_mnist_4.py --datapath=DIR
Not run yet.
"""

import ram_mnist_2


def get_config():
    config = ram_mnist_2.get_config()
    config.train.num_glimpses = 4
    return config
