"""Active RAM on MNIST: RAM that knows how unsure it is, 6 glimpses of 8x8 pixels.

Lu 2019, NeurIPS workshop. Two switches make its four variants: the weights of
`uncertainty` (the paper's lambda 1) and `intrinsic_belief` (lambda 2), either or both
0. Ours are weights of means over the batch; the published code sums over a batch of
128, so that its lambdas are ours divided by 128: 1e-5 and 1e-2.

Command: python train.py --config=configs/active_ram_mnist.py --datapath=DIR
Not run to its end yet. After 8 epochs (`--config.train.epochs=8`), test accuracy in %,
10 samples averaged, of the first 2,000 images: 90.2 after one glimpse, 96.3 after 3,
97.6 after 6, 96.7 after 10 and 91.6 after 50. Not published, and what helped: the
cross-entropy of the glimpses before the last too, without which one glimpse is worth 18
to 35 % and 4 are worth 60 to 96 %; and a GRU core. With the published core, accuracy
falls to 77 % just after the glimpses trained for, and comes back to 91 %.
"""

import ram_mnist


def get_config():
    config = ram_mnist.get_config()
    config.family = "active_ram"
    config.model.error_head = {"shared": False}
    config.model.core.kind = "gru"
    config.policy.first_fraction = 0.5
    config.model.baseline.activation = "relu"
    weights = config.phases.train.weights
    weights.error_fit = 1.0
    weights.uncertainty = 1e-3
    weights.intrinsic_belief = 1.3
    weights.early_classification = 1.0
    return config
