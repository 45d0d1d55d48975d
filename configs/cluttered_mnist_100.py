"""RAM on cluttered MNIST, 100x100 with 8 pieces of other digits, glimpses of 12x12 x4.

Mnih et al. 2014, arXiv 1406.6247, section 4.1.

Command: python train.py --config=configs/cluttered_mnist_100.py --datapath=DIR
Not run yet.
"""

import cluttered_mnist_60


def get_config():
    config = cluttered_mnist_60.get_config()
    config.data.canvas = (100, 100)
    config.data.num_pieces = 8
    config.model.core.kind = "lstm"
    config.model.retina.num_scales = 4
    config.train.batch_size = 128
    config.train.learning_rate = 2e-3
    config.train.epochs = 20
    return config
