"""RAM on CIFAR-10: 4 glimpses of 8x8 pixels at one scale, an LSTM core.

Command: python train.py --config=configs/ram_cifar10_4.py --datapath=DIR
Not run yet.
"""

import ram_cifar10


def get_config():
    config = ram_cifar10.get_config()
    config.train.num_glimpses = 4
    config.train.epochs = 40
    return config
