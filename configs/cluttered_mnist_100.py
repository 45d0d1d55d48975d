"""RAM on cluttered MNIST, 100x100 with 8 pieces of other digits, glimpses of 12x12 x4.

Mnih et al. 2014, arXiv 1406.6247, section 4.1.

Command: python train.py --config=configs/cluttered_mnist_100.py --datapath=DIR
    --pretrain_checkpoint=runs/start --config.train.schedule.warmup_steps=500
after: python train.py --config=configs/cluttered_mnist_60.py --datapath=DIR
    --workdir=runs/start --config.model.retina.num_scales=4 --config.train.epochs=15
Measured on one of two CPU cores, shared with other processes, 5,953 s of training after
343 s of the smaller images that it starts from: test error 5.98 % (10 samples averaged;
spread of 3 evaluation seeds 0.00), 14.4 % with one sample; after four of its six
glimpses 6.81 and 21.1 %.

In training it has 15.0 % with one sample: it has not learned its images by heart, and
more epochs are what to try next.
"""

import common


def get_config():
    config = common.ram_mnist(canvas=(100, 100), clutter=8)
    config.model.retina.num_scales = 4
    config.model.location.stddev = 0.1
    config.train.epochs = 150
    return config
