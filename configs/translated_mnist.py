"""RAM on translated MNIST: digits somewhere on 60x60, 6 glimpses of 12x12 x3.

Mnih et al. 2014, arXiv 1406.6247, table 1b. The first glimpse is in the
middle half.

Command: python train.py --config=configs/translated_mnist.py --datapath=DIR
Measured on one of two CPU cores, shared with other processes, 2,433 s of training: test
error 1.14 % (10 samples averaged; spread of 3 evaluation seeds 0.03), 1.68 % with one
sample. In training it has 1.3 % with one sample.
"""

import common


def get_config():
    config = common.ram_mnist(canvas=(60, 60))
    config.train.epochs = 150
    return config
