"""RAM on translated MNIST: digits somewhere on 60x60, 4 glimpses of 12x12 x3.

Command: python train.py --config=configs/translated_mnist_4.py --datapath=DIR
Measured on one of two CPU cores, the other busy, 772 s of training: test error 2.17 +-
0.07 % (10 samples averaged, 3 evaluation seeds), 3.29 % with one sample.
"""

import translated_mnist


def get_config():
    config = translated_mnist.get_config()
    config.train.num_glimpses = 4
    config.train.epochs = 170
    return config
