"""DRAM on digits, with the place of 1 % of the training digits known.

`dram_digits.py`, a third of its training: of 13 of the 1,293 training digits the model
is told where on the canvas they are, each time that they are dropped somewhere.

Command: python train.py --config=configs/dram_digits_places.py
Measured on one of two CPU cores (AMD EPYC), shared with other processes: test accuracy
98.12 +- 0.69 % (10 samples averaged; standard error over images, clustered by digit),
97.68 +- 0.62 % with one; after the first glimpse alone 95.28 and 85.10 %. On the same
weights, random 23.87 % and centre 46.94 % (one sample). One training seed. Thrice the
training without places has 97.92 +- 0.66 and 97.01 +- 0.65 %, not told apart; as much
as here without places was not measured.
"""

import common
import dram_digits


def get_config():
    config = dram_digits.get_config()
    config = common.know_places(config, share=0.01, weight=100.0)
    config.train.epochs = 5
    return config
