"""RAM on translated MNIST: digits somewhere on 60x60, 4 glimpses of 12x12 x3.

Command: python train.py --config=configs/translated_mnist_4.py --datapath=DIR
Not run yet with this recipe. With narrower layers, pixels as they are and a location
head that was not scaled (commit 9bc6c69), on one of two CPU cores, 772 s of training:
test error 2.17 +- 0.07 % (10 samples averaged), 3.29 % with one sample.
"""

import translated_mnist


def get_config():
    config = translated_mnist.get_config()
    config.train.num_glimpses = 4
    config.train.epochs = 170
    return config
