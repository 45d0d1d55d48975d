"""From a config to objects."""

import inspect
import re

import keras
import tensorflow as tf

from ram_tf import data, policies
from ram_tf.errors import InputError
from ram_tf.experiment.config import DTYPES, configured, last_phase, plain
from ram_tf.families import find_family
from ram_tf.training.trainer import Trainer


def load_data(config, datapath=None, report=print, **options):
    """Loads the config's data set and says what there is to say about it.

    Args:
        config: A `ConfigDict`.
        datapath: Path to the data, or `None`, as configured.
        report: Function of one line of text.
        **options: What the source takes besides what is configured.

    Returns:
        A `Dataset`.
    """
    options = {**plain(config.data), **options}
    if datapath is not None:
        options["datapath"] = datapath
    dataset = data.load(options.pop("name"), options.pop("datapath"), **options)
    for line in dataset.notes:
        report(line)
    return dataset


def build_network(config, image_shape, num_classes):
    """Builds the config's model, weights and all."""
    try:
        network = find_family(config.family).build(num_classes, **plain(config.model))
    except (TypeError, ValueError) as error:
        raise InputError(_describe_failure(config, str(error))) from error
    if None in image_shape:
        network.check_windows()
    network.build((None, *image_shape))
    phase = last_phase(config)
    rules = phase.stop_rules  # Of what the baseline learns to expect.
    rule = rules.get(config.phases[phase.name].get("returns")) if rules else None
    if rule is not None:
        network.stop_rule = rule
    return network


# How Python and Keras say that a constructor does not know an argument.
_UNKNOWN = (
    r"([\w.]+)\(\) got an unexpected keyword argument '(\w+)'",
    r"keyword arguments passed to (\w+): \{'(\w+)'",
)


def _describe_failure(config, error):
    """Says which key of the model section a constructor did not know, if that is it."""
    for pattern in _UNKNOWN:
        found = re.search(pattern, error)
        if found is not None:
            owner, key = found[1].partition(".")[0], found[2]
            return (
                f"the config's model has a key {key!r} that does not apply: {owner} of "
                f"the family {config.family} takes no such option. Remove it."
            )
    return f"the config's model cannot be built: {error}"


def build_policies(config):
    """Returns the policies a trained model can be evaluated with, name -> policy."""
    phase = last_phase(config)
    own = {name: make_policy(make, config) for name, make in phase.policies.items()}
    own = {name: policy for name, policy in own.items() if policy is not None}
    learned = make_policy(phase.evaluation_policy or phase.policy, config)
    return {"learned": learned, **own, **(policies.CONTROLS | own)}


def make_policy(factory, config):
    """Makes a policy of the config's family with what it takes of the policy section.

    Raises:
        InputError: If the section has a key that no policy of the family takes, or a
            value that cannot be used.
    """
    known = find_family(config.family).policy_keys
    unknown = [key for key in config.policy if key not in known]
    if unknown:
        raise InputError(
            f"policy.{unknown[0]} does not apply to the family {config.family}: its "
            f"policies take {', '.join(known)}."
        )
    options = {
        # A list is what JSON makes of a tuple, but nothing that can be hashed.
        key: tuple(value) if isinstance(value, list) else value
        for key, value in plain(config.policy).items()
        if key in inspect.signature(factory).parameters
    }
    try:
        return factory(**options)
    except (TypeError, ValueError) as error:
        raise InputError(f"the config's policy cannot be built: {error}") from error


def pick_policies(known, names):
    """Returns the named ones of a dictionary of policies, all if `names` is `None`."""
    names = list(known) if names is None else names
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise InputError(
            f"unknown policy {', '.join(map(repr, unknown)) or repr('')}: this model "
            f"has {', '.join(known)}."
        )
    return {name: known[name] for name in names}


def default_policy(config, everything):
    """The policy that predicts and is drawn unless another is named."""
    return everything.get(
        find_family(config.family).default_policy, everything["learned"]
    )


def build_trainer(config, phase, network):
    """Builds the trainer of one phase around a network."""
    phase = configured(phase, config)
    return Trainer(
        network,
        phase,
        make_policy(phase.policy, config),
        config.train.num_glimpses,
        mc_samples=config.train.mc_samples,
        eval_samples=config.eval.validation_mc_samples,
        clip_norm=config.train.clip_norm,
        xla=config.runtime.xla and not _is_shared(network),
        seed=config.runtime.seed,
    )


def setup_runtime(runtime):
    """Applies a config's runtime section to this process."""
    if runtime.mixed_precision not in DTYPES:
        raise InputError(
            f"unknown runtime.mixed_precision {runtime.mixed_precision!r}: expected "
            f"one of {', '.join(DTYPES)}."
        )
    if not 0 <= runtime.seed < 2**31:
        raise InputError(
            f"runtime.seed must lie in [0, 2147483647], got {runtime.seed}."
        )
    keras.config.set_dtype_policy(runtime.mixed_precision)
    keras.utils.set_random_seed(runtime.seed)
    if runtime.deterministic:
        tf.config.experimental.enable_op_determinism()


def _is_shared(network):
    """Whether replicas exchange statistics inside a step, which XLA cannot compile."""
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    return several and any(
        isinstance(layer, keras.layers.BatchNormalization)
        for layer in network._flatten_layers()
    )
