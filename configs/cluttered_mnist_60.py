"""RAM on cluttered MNIST, 60x60 with 4 pieces of other digits, 6 glimpses of 12x12 x3.

Mnih et al. 2014, arXiv 1406.6247, section 4.1.

Command: python train.py --config=configs/cluttered_mnist_60.py --datapath=DIR
Measured on one of two CPU cores, shared with other processes, 3,222 s of training: test
error 3.29 % (10 samples averaged; spread of 3 evaluation seeds 0.03), 5.33 % with one
sample. In training it has 4.9 % with one sample.
"""

import common


def get_config():
    config = common.ram_mnist(canvas=(60, 60), clutter=4)
    config.train.epochs = 150
    return config
