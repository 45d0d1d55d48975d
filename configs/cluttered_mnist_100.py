"""RAM on cluttered MNIST, 100x100 with 8 pieces of other digits, glimpses of 12x12 x4.

Mnih et al. 2014, arXiv 1406.6247, section 4.1.

Command: python train.py --config=configs/cluttered_mnist_100.py --datapath=DIR
    --pretrain_checkpoint=runs/cluttered_mnist_100_4
    --config.train.schedule.warmup_steps=500
Measured on one of two CPU cores, shared with other processes, 1,284 s of training after
the 1,672 s of the model with four glimpses that it starts from: test error 10.50 +-
0.03 % (10 samples averaged, 3 evaluation seeds), 21.0 % with one sample. In training it
has 21.9 % with one sample: it has not learned its images by heart. What to try next is
the rectifier core in larger batches and smaller steps, which overtook the LSTM on 60x60
(`cluttered_mnist_60.py`).
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
