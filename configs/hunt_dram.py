"""DRAM hunts for one small target in images of 4,096x4,096 pixels, read as it looks.

The images of `hunt.py`. A coarse view of 32x32 pixels, from the smallest level that has
enough, says where to begin; 4 glimpses of 32x32 pixels see 256 and 1,024 of the image.

Command: python train.py --config=configs/hunt_dram.py
Measured on two CPU cores (AMD EPYC), shared with other processes, 1,068 s of
training: test accuracy 99.97 +- 0.03 % with one sample, 96.5 +- 0.4 % after the first
glimpse; on the same weights, random 39.2 +- 1.1 % and centre 28.7 +- 1.4 %; 1,024
images.
"""

import common


def get_config():
    config = common.dram()
    config.data = common.hunt()
    retina = config.model.retina
    retina.size, retina.sides, retina.num_scales = 32, (256, 1024), 2
    retina.pixel_mean, retina.pixel_stddev = 0.27, 0.08
    config.model.overview_size = 32
    config.model.glimpse_network = {
        "kind": "conv",
        "filters": (16, 32),
        "strides": (2, 2),
        "units": 256,
    }
    config.model.location.stddev = 0.07
    config.model.location.mean_scale = 0.3
    config.phases.train.weights.early_classification = 1.0
    config.phases.train.returns = "gain"
    config = common.know_places(config, share=0.05, weight=20.0)
    config.train.num_glimpses = 4
    config.train.batch_size = 64
    config.train.epochs = 20
    config.train.steps_per_epoch = 100
    config.eval.batch_size = 64
    config.eval.mc_samples = 1
    config.eval.seeds = 3
    return config
