"""RAM on MNIST: 6 glimpses of 8x8 pixels at one scale.

Mnih et al. 2014, arXiv 1406.6247, table 1a ("RAM, 6 glimpses, 8x8, 1 scale": 1.29 %
error).

Command: python train.py --config=configs/ram_mnist.py --datapath=DIR
Measured on two CPU cores, 1,118 s of training with other processes running: test error
0.65 % (10 samples averaged; spread of 3 evaluation seeds 0.04), 1.39 % with one sample,
2.29 % with the mean policy; on the same weights, random 44.3 % and centre 27.6 % (one
sample).
"""

import common


def get_config():
    config = common.ram_mnist()
    config.train.epochs = 95
    return config
