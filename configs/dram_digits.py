"""DRAM on the digits that ship with scikit-learn, dropped on a 40x40 canvas.

Ba et al. 2015, arXiv 1412.7755. The digits of `ram_digits.py`, 6 glimpses of 8x8 pixels
at 2 scales; a coarse view of 20x20 pixels says where to begin.

Command: python train.py --config=configs/dram_digits.py
Measured on one of two CPU cores (AMD EPYC), shared with other processes, 401 s of
training: test accuracy 97.92 +- 0.66 % (10 samples averaged; standard error over
images, clustered by digit), 97.01 +- 0.65 % with one; after the first glimpse alone
93.33 and 85.35 %. On the same weights, random 31.24 % and centre 56.81 % (one sample).
"""

import common


def get_config():
    config = common.dram()
    config.data = common.digits(digit_size=24, canvas=(40, 40))
    config.model.overview_size = 20
    config.train.batch_size = 128
    config.train.epochs = 15
    config.train.steps_per_epoch = 200
    config.eval.batch_size = 360
    config.eval.seeds = 1
    return config
