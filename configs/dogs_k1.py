"""Fine-grained attention on Stanford Dogs, 1 resolution a glimpse, as published.

120 breeds. ResNet-50 on 96x96 pixels, pre-trained from ImageNet weights on three
centred crops, then frozen; three glimpses of 1 patch.

Sermanet et al. 2014, arXiv 1412.7054.

Command: python train.py --config=configs/dogs_k1.py --datapath=DIR --training_phase=all
Not run yet. Published: 73.1 % (start_size 2).
"""

import common


def get_config():
    config = common.fine_grained()
    # A quarter of the image is then as fine as the backbone sees.
    config.data = common.source(
        "stanford_dogs", square=384, smallest_square=1.0, flip=True
    )
    # Both phases have the step and the batch of `train`.
    config.train.learning_rate = 1e-4
    config.train.batch_size = 128
    config.train.schedule = {"kind": "constant"}
    config.phases.pretrain.pretrain_checkpoint = "imagenet"
    config.phases.pretrain.epochs = 30
    config.phases.attend.epochs = 60
    return config
