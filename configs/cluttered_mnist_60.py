"""RAM on cluttered MNIST, 60x60 with 4 pieces of other digits, 6 glimpses of 12x12 x3.

Mnih et al. 2014, arXiv 1406.6247, section 4.1.

Command: python train.py --config=configs/cluttered_mnist_60.py --datapath=DIR
Not run yet.
"""

import cluttered_mnist_60_4


def get_config():
    config = cluttered_mnist_60_4.get_config()
    config.model.core.kind = "lstm"
    config.phases.train.returns = "belief"
    config.train.num_glimpses = 6
    config.train.batch_size = 128
    config.train.learning_rate = 2e-3
    config.train.epochs = 60
    # Matrix products in bfloat16 are quick outside XLA alone, where the processor has
    # units for them (AMX).
    config.runtime.mixed_precision = "mixed_bfloat16"
    config.runtime.xla = False
    return config
