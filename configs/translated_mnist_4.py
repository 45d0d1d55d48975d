"""RAM on translated MNIST: digits somewhere on 60x60, 4 glimpses of 12x12 x3.

Command: python train.py --config=configs/translated_mnist_4.py --datapath=DIR
Measured on one of two CPU cores, the other busy, 1,954 s of training: test error 1.15 %
(10 samples averaged; spread of 3 evaluation seeds 0.01), 1.83 % with one sample. In
training it has 1.4 % with one sample.

Before, rewarded with being right instead of with belief, in float32: an LSTM core in
batches of 64 for 40 epochs (commit a9f51a4, 1,785 s), 1.61 and 2.56 %; a rectifier core
for 60 epochs (commit 6cd9d4c, 1,733 s), 1.90 and 3.04 %; with narrower layers too,
pixels as they are, and a location head that was not scaled (commit 9bc6c69), 2.17 and
3.29 %.
"""

import translated_mnist


def get_config():
    config = translated_mnist.get_config()
    config.train.num_glimpses = 4
    return config
