"""From a config to a finished run in a workdir, and back: all that sees a config."""

from ram_tf.experiment.build import (
    build_network,
    build_policies,
    build_trainer,
    default_policy,
    load_data,
    pick_policies,
    setup_runtime,
)
from ram_tf.experiment.check import check, check_monitor
from ram_tf.experiment.config import last_phase, phase_config, prefer, vary
from ram_tf.experiment.environment import describe_command, describe_environment
from ram_tf.experiment.monitor import PolicyMonitor
from ram_tf.experiment.preset import Preset, model_class, presets, read_preset
from ram_tf.experiment.restore import Trained, load_data_for, read_image, restore
from ram_tf.experiment.runner import run
from ram_tf.experiment.workdir import (
    check_classes,
    describe_data,
    phase_folder,
    read_dataset,
    read_json,
    read_run,
)

__all__ = [
    "PolicyMonitor",
    "Preset",
    "Trained",
    "build_network",
    "build_policies",
    "build_trainer",
    "check",
    "check_classes",
    "check_monitor",
    "describe_data",
    "describe_command",
    "describe_environment",
    "last_phase",
    "load_data",
    "load_data_for",
    "model_class",
    "phase_config",
    "phase_folder",
    "pick_policies",
    "prefer",
    "presets",
    "read_dataset",
    "read_image",
    "read_json",
    "read_preset",
    "read_run",
    "restore",
    "run",
    "setup_runtime",
    "default_policy",
    "vary",
]
