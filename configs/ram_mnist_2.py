"""RAM on MNIST with 2 glimpses of 8x8 pixels.

Mnih et al. 2014, arXiv 1406.6247, table 1a ("RAM, 2 glimpses, 8x8, 1 scale": 6.27 %
error).

Command: python train.py --config=configs/ram_mnist_2.py --datapath=DIR
Measured on one of two CPU cores, the other busy, 343 s of training: test error 1.51 %
(10 samples averaged; spread of 3 evaluation seeds 0.11), 5.67 % with one sample. Three
training seeds (the other two at commit da62a82, beside other processes): 1.53 %, their
spread 0.04, and 5.71 %, their spread 0.03.
"""

import ram_mnist


def get_config():
    config = ram_mnist.get_config()
    config.train.num_glimpses = 2
    # Away from the empty border, but not always the same: in training a first glimpse
    # that never moves lets the model learn its images by heart.
    config.policy.first_fraction = 0.6
    config.train.epochs = 120
    return config
