"""What a config means: for one phase, varied, and what cannot be meant."""

import copy
import dataclasses
import functools
import hashlib
import operator

import ml_collections
from ml_collections import config_dict

from ram_tf.errors import InputError
from ram_tf.families import find_family

DTYPES = ("float32", "mixed_bfloat16", "mixed_float16")


def phase_config(config, phase):
    """Returns the config of one phase: what it fixes, and its section, over `train`."""
    if phase.name not in config.phases:
        raise InputError(f"the config has no section phases.{phase.name}.")
    content = copy.deepcopy(config)
    section = config.phases[phase.name]
    own = ("weights", "returns", "credit") if phase.returns else ("weights",)
    for name, value in plain(section).items():
        if name in phase.fixed:
            raise InputError(
                f"phases.{phase.name}.{name} cannot be set: it is "
                f"{phase.fixed[name]!r} in this phase."
            )
        if name in own or value is None:
            continue
        if name not in config.train:
            raise InputError(
                f"phases.{phase.name}.{name} stands for no key of train: expected "
                f"{', '.join(own)} or one of {', '.join(sorted(config.train))}."
            )
        content.train[name] = value
    content.train.update(phase.fixed)
    with content.unlocked():
        kept = {key: value for key, value in plain(section).items() if key in own}
        content.phases = {phase.name: kept}
    return content


def prefer(config, keys):
    """Lets `train.KEY` hold for every phase that sets the key in its section.

    Args:
        config: `ConfigDict`, changed in place.
        keys: Dotted names of the keys that were asked for explicitly.
    """
    for phase, section in config.phases.items():
        for key in section:
            if f"train.{key}" in keys and f"phases.{phase}.{key}" not in keys:
                # Of its type, so that it can be set again.
                section[key] = config_dict.placeholder(section.get_type(key))


def vary(config, overrides):
    """Returns a copy of a config with other values of some dotted keys.

    Raises:
        InputError: If the config has no such key, or one of another type.
    """
    varied = copy.deepcopy(config)
    for key, value in overrides.items():
        *sections, name = key.split(".")
        try:
            section = functools.reduce(operator.getitem, sections, varied)
            if isinstance(value, dict):
                section[name] = ml_collections.ConfigDict(value)
            else:
                section.update({name: value})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"cannot set {key} to {value!r}: {error}") from error
    prefer(varied, overrides)
    return varied


def last_phase(config):
    """The last phase that a config has a section for: that of a phase's own config."""
    return [
        each for each in find_family(config.family).phases if each.name in config.phases
    ][-1]


def plain(section):
    """A config section as plain dictionaries."""
    return section.to_dict()


def phase_seed(seed, phase):
    """The seed of the weights that a phase does not take over: each phase its own."""
    if phase.starts_from is None:
        return seed
    digest = hashlib.sha256(f"{seed} {phase.name}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def last_epoch(config, until_epoch):
    """Returns the number of epochs that a run ends after."""
    epochs = config.train.epochs
    return epochs if until_epoch is None else min(until_epoch, epochs)


def configured(phase, config):
    """The phase with the config's weights of its terms, and its choice of returns.

    Raises:
        InputError: If the config weighs other terms, or asks for what is not known or
            cannot be combined.
    """
    section = config.phases[phase.name]
    weights = plain(section.weights)
    # What a phase gives no weight is measured and not learned from.
    expected = {name for name, weight in phase.weights.items() if weight}
    optional = {name: weights.pop(name, 0.0) for name in phase.optional}
    places = weights.pop("places", 0.0)
    _check_places(phase, config, places)
    if set(weights) != expected:
        raise InputError(
            f"phases.{phase.name}.weights has the terms {sorted(weights)}, expected "
            f"{sorted(expected)}."
        )
    each = any(optional.values())
    if phase.returns:
        chosen = section.get("returns") or next(iter(phase.returns))
        if chosen not in phase.returns:
            raise InputError(
                f"phases.{phase.name}.returns is {chosen!r}, expected one of "
                f"{', '.join(phase.returns)}."
            )
        phase = _rewarded(phase, config, chosen)
        each = each or chosen in phase.after_each
    phase = dataclasses.replace(phase, weights={**phase.weights, **weights})
    if each:
        told = {"early": True} if phase.optional else {}
        phase = dataclasses.replace(
            phase,
            weights={**phase.weights, **optional},
            reading=phase.reading_each,
            objective=functools.partial(phase.objective, **told),
            validation_objective=functools.partial(phase.validation_objective, **told),
        )
    return phase.with_places(places) if places else phase


def _check_places(phase, config, weight):
    """Refuses places that nothing learns from, and a weight of places not known."""
    share = plain(config.data).get("known_places", 0.0)
    key = f"phases.{phase.name}.weights.places"
    if phase.guided is None and (share or weight):
        raise InputError(
            f"{f'data.known_places is {share:g}' if share else f'{key} is {weight:g}'}"
            f": the family {config.family} has no Gaussian location head that could "
            "learn from places. Leave it 0."
        )
    if weight and not share:
        raise InputError(
            f"{key} is {weight:g}, and no place is known: set data.known_places, the "
            f"share of the training images, of a data set that has it ("
            f"{config.data.name} may not), or leave the weight 0."
        )
    if share and not weight:
        raise InputError(
            f"data.known_places is {share:g}, and nothing learns from places: set "
            f"{key}, the weight of their loss, or leave the share 0."
        )


def _rewarded(phase, config, chosen):
    """The phase with the config's returns, and its choice of how they are credited."""
    where = f"phases.{phase.name}"
    section = config.phases[phase.name].get("credit")
    options = {} if section is None else plain(section)
    several, copies = options.pop("leave_one_out", False), config.train.mc_samples
    if several and copies < 2:
        raise InputError(
            f"{where}.credit.leave_one_out compares the copies of an image: "
            f"train.mc_samples must be 2 or more, got {copies}."
        )
    if chosen in phase.after_each and plain(config.policy).get("count_last_action"):
        raise InputError(
            f"{where}.returns={chosen} rewards each decision with the glimpse that "
            "follows, and policy.count_last_action asks for one that none follows: use "
            "one of them."
        )
    try:
        credit = phase.credit(**options)
        compared = phase.credit(**options, copies=copies if several else 1)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}.credit cannot be used: {error}.") from error
    objective = functools.partial(phase.objective, returns=phase.returns[chosen])
    # In validation an image may have other copies, or none.
    return dataclasses.replace(
        phase,
        objective=functools.partial(objective, credit=compared),
        validation_objective=functools.partial(objective, credit=credit),
    )
