"""RAM on translated MNIST: digits somewhere on 60x60, 4 glimpses of 12x12 x3.

Command: python train.py --config=configs/translated_mnist_4.py --datapath=DIR
Not run yet.
"""

import translated_mnist


def get_config():
    config = translated_mnist.get_config()
    config.train.num_glimpses = 4
    config.train.epochs = 100
    return config
