"""RAM hunts for one small target in images of 4,096x4,096 pixels, read as it looks.

20,000 images of which no file exists: a window is computed when it is looked at. The
class is that of a glyph of 128 pixels somewhere in each; a halo around it is seen at
coarse levels. The model takes 4 glimpses of 32x32 pixels at 3 scales, the first one in
the centre. Of 5 % of the training images it is told where the glyph is; the gradient of
decisions reaches the core, which has to know where it saw what.

Command: python train.py --config=configs/hunt.py
Measured on two CPU cores (AMD EPYC), shared with other processes, 1,104 s of training:
test accuracy 99.87 +- 0.07 % with one sample, 93.0 +- 0.5 % after two glimpses; on the
same weights, random 38.3 +- 1.1 % and centre 28.3 +- 1.4 %; 1,024 images.
"""

import common


def get_config():
    config = common.ram()
    config.data = common.hunt()
    retina = config.model.retina
    retina.size, retina.sides = 32, (256, 1024, 4096)
    retina.num_scales = 3
    retina.pixel_mean, retina.pixel_stddev = 0.27, 0.08
    config.model.glimpse_network = {
        "kind": "conv",
        "filters": (16, 32),
        "strides": (2, 2),
        "units": 256,
    }
    config.model.location.stddev = 0.07
    config.model.location.mean_scale = 0.3
    config.model.location.detach_inputs = False
    config.policy.first_location = (0.0, 0.0)
    config.phases.train.weights.early_classification = 1.0
    config.phases.train.returns = "gain"
    config = common.know_places(config, share=0.05, weight=20.0)
    config.train.num_glimpses = 4
    config.train.batch_size = 64
    config.train.epochs = 40
    config.train.steps_per_epoch = 100
    config.eval.batch_size = 64
    config.eval.mc_samples = 1
    config.eval.seeds = 3
    return config
