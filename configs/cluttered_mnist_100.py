"""RAM on cluttered MNIST, 100x100 with 8 pieces of other digits, glimpses of 12x12 x4.

Mnih et al. 2014, arXiv 1406.6247, section 4.1.

Command: python train.py --config=configs/cluttered_mnist_100.py --datapath=DIR
    --pretrain_checkpoint=runs/start --config.train.schedule.warmup_steps=500
after: python train.py --config=configs/cluttered_mnist_60.py --datapath=DIR
    --workdir=runs/start --config.model.retina.num_scales=4 --config.train.epochs=15
Measured on one of two CPU cores, shared with other processes, 5,953 s of training after
343 s of the smaller images that it starts from: test error 5.98 % (10 samples averaged;
spread of 3 evaluation seeds 0.00), 14.4 % with one sample; after four of its six
glimpses 6.81 and 21.1 %. In training it has 15.0 % with one sample: it has not learned
its images by heart, and more epochs are what to try next.

What helped, in validation accuracy with one sample after 5 and after 7 epochs, on a
schedule of 150 or 200: nothing learned before, 34.0 and 42.6 %; started from the
smaller images, where digits are soon found, 48.3 and 51.4 %; with a sigma of 0.1, five
pixels, too, 52.5 and 57.4 %. A sigma of 0.2 begins higher, 54.7 against 51.2 % after 4,
and rises as fast. Before, an LSTM core in batches of 128 with steps of 2e-3, 20 epochs
after the 50 of `cluttered_mnist_100_4.py` (commit 5aebe92, 2,956 s): 10.50 and 21.0 %.
"""

import cluttered_mnist_60


def get_config():
    config = cluttered_mnist_60.get_config()
    config.data.canvas = (100, 100)
    config.data.num_pieces = 8
    config.model.location.stddev = 0.1
    config.model.retina.num_scales = 4
    return config
