"""Training: one step, one loop, checkpoints, and the callbacks around them."""

from ram_tf.training.trainer import Trainer

__all__ = ["Trainer"]
