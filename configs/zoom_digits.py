"""DRAM that decides where to look and how wide, on digits of all sizes.

The digits that ship with scikit-learn, 8 to 60 pixels wide, on a 60x60 canvas. Four
glimpses of 10x10 pixels that see 10 to 60 pixels of the image; a coarse view of
20x20 pixels says where to begin, and how wide.

Command: python train.py --config=configs/zoom_digits.py
Measured on one of two CPU cores (AMD EPYC), shared with other processes: test accuracy
88.33 +- 1.09 % (10 samples averaged; standard error over images, clustered by digit),
81.49 +- 1.04 % with one. The same model with --config.model.retina.zoom="(2.4,2.4)",
which sees 24 pixels in every glimpse: 85.35 +- 1.15 and 79.22 +- 1.09 %. One training
seed each.
"""

import common


def get_config():
    config = common.dram()
    config.data = common.source(
        "scaled_digits", smallest=8, largest=60, canvas=(60, 60), test_places=4
    )
    model = config.model
    model.retina.size, model.retina.num_scales = 10, 1
    model.retina.zoom = (1.0, 6.0)
    del model.location.stddev  # Of another type: one a coordinate.
    model.location.stddev = (0.1, 0.1, 0.2)
    model.overview_size = 20
    config.train.num_glimpses = 4
    config.train.batch_size = 128
    config.train.epochs = 8
    config.train.steps_per_epoch = 200
    config.eval.batch_size = 360
    config.eval.seeds = 1
    return config
