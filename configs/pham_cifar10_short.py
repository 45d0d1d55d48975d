"""PHAM on CIFAR-10 in less than 100 minutes on two CPU cores.

The model of `pham_cifar10.py`, trained shortly: 12 epochs of the first phase, 76,800
images of the second and 153,600 of the third. Reads 2,000 test images, always the same.

Command: python train.py --config=configs/pham_cifar10_short.py --datapath=DIR
Not run yet.
"""

import pham_cifar10


def get_config():
    config = pham_cifar10.get_config()
    config.train.schedule = {"kind": "cosine", "warmup_steps": 0, "minimum": 0.0}
    config.phases.first.epochs = 12
    config.phases.second.steps_per_epoch = 100
    config.phases.second.epochs = 12
    config.phases.third.batch_size = 32
    config.phases.third.steps_per_epoch = 200
    config.phases.third.epochs = 24
    # The phases before were annealed: a large step would undo what they learned.
    config.phases.third.learning_rate = 5e-4
    config.eval.max_examples = 2000
    config.eval.seeds = 1
    return config
