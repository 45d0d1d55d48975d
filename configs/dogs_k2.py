"""Fine-grained attention on Stanford Dogs, 2 resolutions a glimpse, as published.

120 breeds. ResNet-50 on 96x96 pixels, pre-trained from ImageNet weights on three
centred crops, then frozen; three glimpses of 2 patches.

Sermanet et al. 2014, arXiv 1412.7054.

Command: python train.py --config=configs/dogs_k2.py --datapath=DIR --training_phase=all
Not run yet. Published: 76.2 % (start_size 2).
"""

import dogs_k1


def get_config():
    config = dogs_k1.get_config()
    config.model.num_scales = 2
    return config
