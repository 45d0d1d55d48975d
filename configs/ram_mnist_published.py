"""RAM on MNIST as its PyTorch version is trained: 6 glimpses of 8x8 pixels.

Mnih et al. 2014, arXiv 1406.6247. Steps of 3e-4, lowered on a plateau, until 50 epochs
bring no gain; REINFORCE counts for a hundredth, and counts a decision after the last
glimpse too.

Command: python train.py --config=configs/ram_mnist_published.py --datapath=DIR
Not run yet. Published: 1.23 % error.

The most epochs and the plateau's factor and patience are ours.
"""

import common


def get_config():
    config = common.ram_mnist()
    config.policy.count_last_action = True
    config.phases.train.weights.reinforce = 0.01
    config.train.batch_size = 128
    config.train.learning_rate = 3e-4
    config.train.schedule = {
        "kind": "plateau",
        "monitor": "val_accuracy",
        "factor": 0.1,
        "patience": 20,
        "min_delta": 0.0,
        "minimum": 0.0,
    }
    config.train.clip_norm = None
    config.train.epochs = 200
    config.train.early_stopping_patience = 50
    return config
