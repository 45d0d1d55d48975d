"""RAM on cluttered MNIST, 100x100 with 8 pieces, 4 glimpses of 12x12 x4.

Command: python train.py --config=configs/cluttered_mnist_100_4.py --datapath=DIR
Not run yet.
"""

import cluttered_mnist_100


def get_config():
    config = cluttered_mnist_100.get_config()
    config.train.num_glimpses = 4
    config.train.epochs = 50
    return config
