"""DRAM on digits, with the place of 1 % of the training digits known.

`dram_digits.py`, a third of its training: of 13 of the 1,293 training digits the model
is told where on the canvas they are, each time that they are dropped somewhere.

Command: python train.py --config=configs/dram_digits_places.py
Not run yet.
"""

import common
import dram_digits


def get_config():
    config = dram_digits.get_config()
    config = common.know_places(config, share=0.01, weight=100.0)
    config.train.epochs = 5
    return config
