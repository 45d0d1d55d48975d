"""RAM on CIFAR-10: 4 glimpses of 8x8 pixels, a convolutional glimpse network.

After Ba et al. 2015, arXiv 1412.7755, narrower than published (64, 64, 128 channels and
1024 units) so that it trains on two CPU cores.

Command: python train.py --config=configs/ram_cifar10_4_conv.py --datapath=DIR
Not run yet.
"""

import ram_cifar10_4
from ml_collections import config_dict


def get_config():
    config = ram_cifar10_4.get_config()
    config.model.glimpse_network = config_dict.ConfigDict(
        {
            "kind": "conv",
            "filters": (32, 64, 64),
            "strides": (1, 2, 1),
            "units": 256,
        }
    )
    config.train.epochs = 40
    # Convolutions are slower under XLA on a CPU.
    config.runtime.xla = False
    return config
