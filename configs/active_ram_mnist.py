"""Active RAM on MNIST: RAM that knows how unsure it is, 6 glimpses of 8x8 pixels.

Lu 2019, NeurIPS workshop. Two switches make its four variants: the weights of
`uncertainty` (the paper's lambda 1) and `intrinsic_belief` (lambda 2), either or both
0. Ours are weights of means over the batch; the published code sums over a batch of
128, so that its lambdas are ours divided by 128: 8e-6 and 8e-4. The paper's lambda 2,
for a core that recurs, is 3e-3 to 1e-1.

Command: python train.py --config=configs/active_ram_mnist.py --datapath=DIR
    python tools/evaluate.py --workdir=runs/active_ram_mnist --datapath=DIR
        --policy=learned --num_glimpses=50 --seeds=3
Measured on half of one of two CPU cores, the rest busy, 2,218 s of training, one
training seed: test accuracy in %, 10 samples averaged, of 3 evaluation seeds, 95.6
after one glimpse, 98.7 after 3, 99.3 after 6 and 10, and 98.8 after 50; one sample
75.0, 95.5, 98.8, 98.9 and 98.1. Plain RAM (`packaged:ram_mnist`) has 54.1 after one
glimpse, 99.4 after 6, 97.3 after 10 and 11.3 after 50.

The pooling core and the early cross-entropy are ours, not published.
"""

import common


def get_config():
    config = common.active_ram()
    config.model.core.kind = "pooling"
    config.policy.first_fraction = 0.5
    config.train.epochs = 95
    return config
