"""RAM on CIFAR-10: 4 glimpses of 8x8 pixels, a convolutional glimpse network.

After Ba et al. 2015, arXiv 1412.7755, narrower than published (64, 64, 128 channels and
1024 units) so that it trains on two CPU cores.

Command: python train.py --config=configs/ram_cifar10_4_conv.py --datapath=DIR
Not run yet with this recipe. In batches of 256, with images changed in colour too
(commit bf00221), on one of two CPU cores, the other busy, 2,181 s of training, one
training seed: test accuracy 61.63 +- 0.19 % (10 samples averaged, 3 evaluation seeds),
52.9 % with one sample; on the same weights random 60.4 and 49.5 %. In training 52.7 %:
it had not learned its images by heart.

Batches of 128 in bfloat16 outside XLA, with convolutions that are not products, train
twice as fast (45 epochs in 1,428 s): 63.70 and 51.9 %. But random glimpses at the same
weights reach 65.9 and 55.0 %: a location head without a scale, in larger steps, had
gone to the corners, where it cannot turn (the mean policy covered 12 % of the image,
the random one 21 %). Hence `mean_scale` and a wider policy.
"""

import ram_cifar10_4
from ml_collections import config_dict


def get_config():
    config = ram_cifar10_4.get_config()
    config.model.glimpse_network = config_dict.ConfigDict(
        {
            "kind": "conv",
            "filters": (32, 64, 64),
            "strides": (1, 2, 1),
            "units": 256,
            "as_products": False,
        }
    )
    config.train.epochs = 40
    return config
