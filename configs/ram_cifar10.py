"""RAM on CIFAR-10: 6 glimpses of 8x8 pixels at one scale, an LSTM core.

Mnih et al. 2014, arXiv 1406.6247, on photographs of 32x32 pixels. Training images are
cropped and mirrored.

Command: python train.py --config=configs/ram_cifar10.py --datapath=DIR
Measured on one of two CPU cores, the other busy, 999 s of training: test accuracy 67.47
% (10 samples averaged; spread of 3 evaluation seeds 0.22), 59.5 % with one sample; on
the same weights random 62.6 and 48.1 %. In training it has 62.8 % with one sample. A
glimpse network that convolves has more with four glimpses (`ram_cifar10_4_conv.py`).
"""

import common


def get_config():
    config = common.ram()
    config.data = common.colour("cifar10", ("crop", "flip"))
    config.model.retina.num_scales = 1
    config.model.retina.pixel_mean = 0.47
    config.model.retina.pixel_stddev = 0.25
    config.model.core.kind = "lstm"
    config.model.location.stddev = 0.2
    config.model.location.mean_scale = 0.03
    config.phases.train.returns = "belief"
    config.policy.first_fraction = 0.7
    config.train.learning_rate = 2e-3
    config.train.epochs = 40
    config.train.picture_every_epochs = 10
    config.train.steps_per_execution = 20
    config.eval.seeds = 3
    return common.in_bfloat16(config)
