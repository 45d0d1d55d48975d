"""RAM on cluttered MNIST, 60x60 with 4 pieces of other digits, 6 glimpses of 12x12 x3.

Mnih et al. 2014, arXiv 1406.6247, section 4.1.

Command: python train.py --config=configs/cluttered_mnist_60.py --datapath=DIR
Not run yet.
"""

import translated_mnist
from ml_collections import config_dict


def get_config():
    config = translated_mnist.get_config()
    config.data.name = "cluttered_mnist"
    with config.data.unlocked():
        config.data.update(config_dict.ConfigDict({"num_pieces": 4, "piece_size": 8}))
    config.train.epochs = 115
    return config
