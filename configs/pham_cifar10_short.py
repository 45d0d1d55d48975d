"""PHAM on CIFAR-10 on two CPU cores, in an hour and three quarters.

The phases of `pham_cifar10.py` with a quarter of its widths, trained shortly: 10 epochs
of the first, 320,000 images of the second and 512,000 of the third. Reads 2,000 test
images, always the same.

Command: python train.py --config=configs/pham_cifar10_short.py --datapath=DIR
    python tools/evaluate.py --workdir=runs/pham_cifar10_short/third --datapath=DIR
        --policy=learned,random,oracle --seeds=3 --max_examples=2000
Measured on one of two CPU cores, the other busy, one training seed, 902 + 980 + 4,319 s
of training: test accuracy in % after each glimpse, on the same weights, information
gain 34.3 44.8 48.7 51.1 53.1 54.3 54.8; random 34.3 42.4 46.8 50.4 51.9 53.2 54.8;
oracle 34.3 43.9 51.5 52.8 55.5 56.2 58.0. Paired difference of information gain to
random from the second glimpse on: +2.4 +1.9 +0.7 +1.2 +1.1 0.0, standard error 0.7.
Over all 10,000 test images, with one evaluation seed: +2.4 +2.0 +1.0 +0.9 +0.7 +0.8,
standard error 0.5.

Features are imagined with the decoder's noise (`policy.feature_noise`), which is ours.
"""

import common


def get_config():
    # A quarter of the published widths: more images in the same time.
    config = common.pham(
        feature_units=32, latent_units=64, hidden_units=256, num_flows=2
    )
    config.data = common.colour("cifar10", ("crop", "flip", "color"))
    config.model.channel_variance = True
    config.model.imagined_steps = 2
    config.policy.feature_noise = True
    config.phases.first.epochs = 10
    config.phases.first.steps_per_epoch = 500
    config.phases.first.learning_rate = 2e-3
    config.phases.second.batch_size = 32
    config.phases.second.steps_per_epoch = 1000
    config.phases.second.epochs = 10
    config.phases.third.batch_size = 32
    config.phases.third.steps_per_epoch = 1000
    config.phases.third.epochs = 16
    config.train.schedule = {"kind": "cosine", "warmup_steps": 0, "minimum": 0.0}
    config.eval.max_examples = 2000
    config.eval.seeds = 1
    return config
