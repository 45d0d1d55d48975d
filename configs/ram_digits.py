"""RAM on the digits that ship with scikit-learn, dropped on a 40x40 canvas.

1,797 handwritten digits of 8x8 pixels, enlarged to 24x24 and dropped at a random place
on a 40x40 canvas: a new place each time in training, four fixed places for each digit
of the test fifth. The model takes 6 glimpses of 8x8 pixels at 2 scales.

Command: python train.py
Measured on two CPU cores (AMD EPYC) in 77 s of training: test accuracy 98.19 +- 0.64 %
(10 samples averaged; standard error over images, clustered by digit), 97.17 +- 0.60 %
with one; on the same weights, random 74.65 % and centre 75.14 % (one sample). Ten
random paths averaged read 97.78 %: see what averaging is worth before comparing.
"""

import common


def get_config():
    config = common.ram()
    config.data = common.digits(digit_size=24, canvas=(40, 40))
    # Rewarded after each glimpse, it keeps looking where it matters: docs/rewards.md.
    config.model.location.mean_scale = 0.1
    config.phases.train.weights.early_classification = 1.0
    config.phases.train.returns = "gain"
    config.train.epochs = 15
    config.train.steps_per_epoch = 200
    config.eval.batch_size = 360
    return config
