"""RAM on MNIST: 6 glimpses of 8x8 pixels at one scale.

Mnih et al. 2014, arXiv 1406.6247, table 1a ("RAM, 6 glimpses, 8x8, 1 scale": 1.29 %
error).

Command: python train.py --config=configs/ram_mnist.py --datapath=DIR
Measured on two CPU cores, 1,118 s of training with other processes running: test error
0.65 % (10 samples averaged; spread of 3 evaluation seeds 0.04), 1.39 % with one sample,
2.29 % with the mean policy; on the same weights, random 44.3 % and centre 27.6 % (one
sample).
"""

import ram_digits
from ml_collections import config_dict


def get_config():
    config = ram_digits.get_config()
    config.data = config_dict.ConfigDict(
        {
            "name": "mnist",
            "datapath": config_dict.placeholder(str),
            "validation_fraction": 0.1,
            "seed": 0,
            "canvas": config_dict.placeholder(tuple),
        }
    )
    config.model.retina.num_scales = 1
    config.train.batch_size = 256
    config.train.epochs = 95
    config.train.steps_per_epoch = None
    config.train.picture_every_epochs = 10
    config.train.steps_per_execution = 20
    config.eval.batch_size = 500
    config.eval.seeds = 3
    return config
