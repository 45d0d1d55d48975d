"""PHAM on the digits that ship with scikit-learn, dropped on a 16x16 canvas.

1,797 handwritten digits of 8x8 pixels, enlarged to 10x10 and dropped at a random place
on a 16x16 canvas. The model chooses among 49 overlapping patches of 4x4 pixels.

Rangrej and Clark 2021, arXiv 2111.07534, with smaller parts.

Command: python train.py --config=configs/pham_digits.py [--config.runtime.seed=SEED]
Measured on two CPU cores with seeds 0, 1 and 2: test accuracy 84.5 ± 2.5 % after seven
glimpses by expected information gain, random 70.5 ± 1.3 % on the same weights (all
glimpses: configs/README.md). A run alone took 328 s, on one of the two cores 459 s.
"""

import common


def get_config():
    config = common.pham(
        feature_units=32, latent_units=32, hidden_units=128, num_flows=2
    )
    config.data = common.digits(digit_size=10, canvas=(16, 16))
    config.model.glimpse_size = 4
    config.model.channel_variance = True
    config.model.imagined_steps = 2
    config.phases.first.epochs = 12
    config.phases.first.steps_per_epoch = 500
    config.phases.first.learning_rate = 2e-3
    config.phases.second.epochs = 5
    config.phases.third.epochs = 3
    config.train.epochs = 10
    config.train.steps_per_epoch = 100
    config.train.schedule = {"kind": "cosine", "warmup_steps": 0, "minimum": 0.0}
    config.train.checkpoint_every_steps = 500
    config.eval.batch_size = 20
    config.eval.seeds = 1
    # So few steps of so small parts take less time than compiling them.
    config.runtime.xla = False
    return config
