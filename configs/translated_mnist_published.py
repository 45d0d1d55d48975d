"""RAM on translated MNIST as its TensorFlow version is trained: 6 glimpses of 12x12 x3.

Mnih et al. 2014, arXiv 1406.6247, table 1b. The sides of the patches are named, they
are resized bilinearly, and what lies outside of the image is noise. Ten paths of every
image are trained at once.

Command: python train.py --config=configs/translated_mnist_published.py --datapath=DIR
Not run yet. Published: 1.63 % error.

That version can also average or resize bicubically, and pad with zeros or normal noise
(`variants/retina.py`); with which of them it was measured is not known. The number of
epochs is ours.
"""

import common


def get_config():
    config = common.ram()
    config.data = common.mnist(canvas=(60, 60))
    config.model.retina.size = 12
    config.model.retina.num_scales = 3
    config.model.retina.sides = (12, 24, 48)
    config.model.retina.reduction = "bilinear"
    config.model.retina.padding = "uniform"
    config.model.location.stddev = 0.03
    config.train.mc_samples = 10
    config.train.epochs = 100
    config.train.schedule = {
        "kind": "exponential",
        "rate": 0.97,
        "every_steps": 1000,
        "minimum": 1e-4,
    }
    config.train.picture_every_epochs = 10
    config.eval.seeds = 3
    return config
