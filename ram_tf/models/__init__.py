"""One Keras model per family, and the one loop that runs them all."""

from ram_tf.models.active_ram import ActiveRAM
from ram_tf.models.attention_model import AttentionModel
from ram_tf.models.capabilities import check_capabilities
from ram_tf.models.dram import DRAM, MRAM
from ram_tf.models.dynamic import DynamicLooker
from ram_tf.models.fine_grained import FineGrained, ResolutionClassifier
from ram_tf.models.looker import Looker
from ram_tf.models.outputs import Choice, Rollout
from ram_tf.models.pham import PHAM
from ram_tf.models.ram import RAM
from ram_tf.models.rollout import rollout
from ram_tf.models.stop_rules import LittlePromise, LittleToGain, Settled, StopRule
from ram_tf.models.window_sensor import WindowSensor

__all__ = [
    "DRAM",
    "MRAM",
    "PHAM",
    "RAM",
    "ActiveRAM",
    "AttentionModel",
    "Choice",
    "DynamicLooker",
    "FineGrained",
    "LittlePromise",
    "LittleToGain",
    "Looker",
    "ResolutionClassifier",
    "Rollout",
    "Settled",
    "StopRule",
    "WindowSensor",
    "check_capabilities",
    "rollout",
]
