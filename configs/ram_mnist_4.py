"""RAM on MNIST with 4 glimpses of 8x8 pixels.

Mnih et al. 2014, arXiv 1406.6247, table 1a ("RAM, 4 glimpses, 8x8, 1 scale": 1.73 %
error).

Command: python train.py --config=configs/ram_mnist_4.py --datapath=DIR
Measured on one of two CPU cores, the other busy, 721 s of training: test error 0.76 %
(10 samples averaged; spread of 3 evaluation seeds 0.05), 1.99 % with one sample.
"""

import ram_mnist


def get_config():
    config = ram_mnist.get_config()
    config.train.num_glimpses = 4
    config.policy.first_fraction = 0.6  # As in `ram_mnist_2.py`.
    config.train.epochs = 120
    return config
