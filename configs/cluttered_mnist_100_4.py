"""RAM on cluttered MNIST, 100x100 with 8 pieces, 4 glimpses of 12x12 x4.

Command: python train.py --config=configs/cluttered_mnist_100_4.py --datapath=DIR
Measured on one of two CPU cores, the other busy, 1,672 s of training: test error 13.59
% (10 samples averaged; spread of 3 evaluation seeds 0.03), 26.28 % with one sample. In
training it has 27.2 % with one sample: it has not learned its images by heart. The
model of `cluttered_mnist_100.py` has 6.81 % after four of its six glimpses.
"""

import cluttered_mnist_100


def get_config():
    config = cluttered_mnist_100.get_config()
    config.model.core.kind = "lstm"
    config.model.location.stddev = 0.05
    config.train.num_glimpses = 4
    config.train.batch_size = 128
    config.train.learning_rate = 2e-3
    config.train.epochs = 50
    return config
