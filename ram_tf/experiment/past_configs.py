"""Configs written before a key existed, or while one did that is gone.

Whoever adds a key that every config of a family or a data set has writes it down here,
with the value that does what was done without it; whoever removes one, the value that
does what is done now, and the last commit that knew the key.
"""

import copy
import functools
import operator

import ml_collections

from ram_tf.errors import InputError

_RAM = {
    "model.location.mean_scale": 1.0,
    "phases.train.credit": {"gae_lambda": 1.0, "gamma": 1.0, "leave_one_out": False},
    "phases.train.returns": "right",
    "phases.train.weights.early_classification": 0.0,
    "policy.kind": "gaussian",
    "policy.count_last_action": False,
    "eval.policies": ("learned", "mean", "random", "center"),
}
# Of a family or a data set: what it does where the config does not have the key.
ADDED = {
    "active_ram": _RAM,
    "fine_grained": {"model.backbone.norm_momentum": 0.99},
    "open_set_ram": {**_RAM, "phases.train.returns": "right_and_not_false_alarm"},
    "pham": {
        "model.channel_variance": False,
        "model.imagined_steps": None,
        "policy.feature_noise": False,
    },
    "ram": _RAM,
    "folder": {
        "data.cache_gigabytes": 100.0,
        "data.flip": False,
        "data.fold": 0,
        "data.num_folds": None,
        "data.smallest_square": 1.0,
        "data.square": None,
        "data.value_range": None,
    },
    "stanford_dogs": {"data.smallest_square": 1.0},
}
# What is done now, where a config still has the key, and the last commit that knew it.
REMOVED = {
    "model.detach_emission": (True, "62ac6b0"),
    "model.published_norm": (False, "62ac6b0"),
    "model.regions": (2, "62ac6b0"),
    "phases.pretrain.mc_samples": (1, "3d77cea"),
    "phases.pretrain.num_glimpses": (1, "3d77cea"),
    "policy.sampling": ("random", "62ac6b0"),
    "train.count_last_action": (False, "217ffe9"),
}
# Families that are a choice within another one now.
RENAMED = {"open_set_ram": "ram"}
# What is read of every run that is restored.
NEEDED = (
    "family",
    "data.name",
    "data.datapath",
    "model",
    "policy",
    "phases",
    "train.num_glimpses",
    "eval.batch_size",
    "eval.mc_samples",
    "runtime.mixed_precision",
    "runtime.xla",
)


def complete(config, where, report=print):
    """Returns a config as it would be written today, and says what that took.

    Args:
        config: `ConfigDict` or dictionary, of any age.
        where: What it is, to name it.
        report: Function of one line of text.

    Returns:
        `ConfigDict`, a copy.

    Raises:
        InputError: If it has a key that is gone, with another value than what is done
            now.
    """
    config = copy.deepcopy(config)
    if isinstance(config, dict):
        config = ml_collections.ConfigDict(config)
    kinds = [config.get("family"), config.get("data", {}).get("name")]
    added, removed, renamed = [], [], []
    with config.unlocked():
        for kind in kinds:
            for key, value in ADDED.get(kind, {}).items():
                section, name = _find(config, key)
                if section is not None and name not in section:
                    section[name] = value
                    added.append(f"{key}={value!r}")
        for key, (value, last) in REMOVED.items():
            section, name = _find(config, key)
            if section is None or name not in section:
                continue
            if section[name] != value:
                raise InputError(
                    f"{where} has {key}={section[name]!r}, a key that is gone: what is "
                    f"done now was {value!r}. Remove it, or use commit {last}, the "
                    "last that knew it."
                )
            del section[name]
            removed.append(f"{key}={value!r}")
        if config.get("family") in RENAMED:
            renamed.append(f"the family {config.family} as {RENAMED[config.family]}")
            config.family = RENAMED[config.family]
    done = [("added", added), ("passed over", removed), ("read", renamed)]
    done = [f"{verb} {', '.join(keys)}" for verb, keys in done if keys]
    if done:
        report(f"{where} was written by another version: {'; '.join(done)}")
    return config


def check_complete(config, where):
    """Raises an `InputError` that names what a run's config lacks to be restored."""
    lacking = []
    for key in NEEDED:
        section, name = _find(config, key)
        if section is None or name not in section:
            lacking.append(key)
    if lacking:
        raise InputError(
            f"{where} lacks {', '.join(lacking)}: --workdir takes the folder of "
            "a run, with its config as it was written."
        )


def _find(config, key):
    """The section of a dotted key, `None` if it is not there, and its last part."""
    *sections, name = key.split(".")
    try:
        section = functools.reduce(operator.getitem, sections, config)
    except (KeyError, TypeError):
        return None, name
    return (section if isinstance(section, ml_collections.ConfigDict) else None), name
