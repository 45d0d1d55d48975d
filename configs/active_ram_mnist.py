"""Active RAM on MNIST: RAM that knows how unsure it is, 6 glimpses of 8x8 pixels.

Lu 2019, NeurIPS workshop. Two switches make its four variants: the weights of
`uncertainty` (the paper's lambda 1) and `intrinsic_belief` (lambda 2), either or both
0. Ours are weights of means over the batch; the published code sums over a batch of
128, so that its lambdas are ours divided by 128.

Command: python train.py --config=configs/active_ram_mnist.py --datapath=DIR
Not run yet.
"""

import ram_mnist


def get_config():
    config = ram_mnist.get_config()
    config.family = "active_ram"
    config.model.error_head = {"shared": False}
    config.model.baseline.activation = "relu"
    weights = config.phases.train.weights
    weights.error_fit = 1.0
    weights.uncertainty = 1e-3
    weights.intrinsic_belief = 1e-2
    return config
