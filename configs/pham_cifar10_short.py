"""PHAM on CIFAR-10 on two CPU cores.

The model of `pham_cifar10.py`, trained shortly: 12 epochs of the first phase, 76,800
images of the second and 153,600 of the third. Reads 2,000 test images, always the same.

Command: python train.py --config=configs/pham_cifar10_short.py --datapath=DIR
Measured beside other work, one seed, 1,807 + 2,947 + 6,493 s of training: test accuracy
in % after each glimpse, on the same weights, information gain 35.7 45.2 47.3 50.2 51.2
53.2 53.4; random 35.7 42.5 46.2 50.0 52.8 53.8 55.5; oracle 35.7 45.4 51.5 55.6 58.1
60.3 61.0. The paired difference to random, +2.8 +1.1 +0.1 -1.6 -0.7 -2.1, has a
standard error of 1.1: the imagined features are not good enough yet for later looks.
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
