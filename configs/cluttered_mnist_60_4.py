"""RAM on cluttered MNIST, 60x60 with 4 pieces of other digits, 4 glimpses of 12x12 x3.

Command: python train.py --config=configs/cluttered_mnist_60_4.py --datapath=DIR
Not run yet.
"""

import cluttered_mnist_60


def get_config():
    config = cluttered_mnist_60.get_config()
    config.train.num_glimpses = 4
    config.train.epochs = 90
    return config
