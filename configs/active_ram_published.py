"""Active RAM on MNIST with the published core, losses and schedule: 6 glimpses of 8x8.

Lu 2019, NeurIPS workshop. Both terms count: its sums over a batch of 128, 1e-5 for
`uncertainty` and 1e-2 for `intrinsic_belief`, are means here. The location head is one
layer whose mean is clipped; the learning rate falls by a twentieth after each epoch.

Command: python train.py --config=configs/active_ram_published.py --datapath=DIR
Not run yet. Published: 93.7 % when it stops after 3.2 glimpses on average, 97.9 after
4.8, 98.7 after 9.0.

The first learning rate and the number of epochs are ours.
"""

import common


def get_config():
    config = common.active_ram()
    config.model.location.hidden_units = None
    config.model.location.bound = "clip"
    config.phases.train.weights.uncertainty = 128 * 1e-5
    config.phases.train.weights.intrinsic_belief = 128 * 1e-2
    config.phases.train.weights.early_classification = 0.0
    config.train.batch_size = 128
    config.train.epochs = 100
    config.train.schedule = {"kind": "epoch", "rate": 0.95, "minimum": 0.0}
    return config
