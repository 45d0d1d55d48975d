"""Fine-grained attention on Stanford Dogs, 1 resolution a glimpse, as published.

120 breeds. ResNet-50 on 96x96 pixels, pre-trained from ImageNet weights on three
centred crops, then frozen; three glimpses of 1 patch.

Sermanet et al. 2014, arXiv 1412.7054.

Command: python train.py --config=configs/dogs_k1.py --datapath=DIR --training_phase=all
Not run yet. Published: 73.1 % (start_size 2).
"""

import photos_small
from ml_collections import config_dict


def get_config():
    config = photos_small.get_config()
    config.data = config_dict.ConfigDict(
        {
            "name": "stanford_dogs",
            "datapath": config_dict.placeholder(str),
            "validation_fraction": 0.1,
            "seed": 0,
            # A quarter of the image is then as fine as the backbone sees.
            "square": 384,
            "smallest_square": 1.0,
            "flip": True,
        }
    )
    config.model.backbone.kind = "resnet50"
    config.model.backbone.stride_one = True
    config.model.backbone.norm_momentum = 0.99
    config.model.num_scales = 1
    config.model.start_size = 2
    config.model.core.units = 2048
    config.model.emission.units = 512
    config.policy.stddev = 0.2
    # Both phases have the step and the batch of `train`.
    config.train.learning_rate = 1e-4
    config.train.batch_size = 128
    config.train.schedule = {"kind": "constant"}
    config.train.num_glimpses = 3
    config.phases.pretrain.pretrain_checkpoint = "imagenet"
    config.phases.pretrain.epochs = 30
    config.phases.attend.epochs = 60
    config.phases.attend.learning_rate = None
    config.phases.attend.batch_size = None
    config.eval.mc_samples = 7
    config.eval.batch_size = 32
    return config
