"""From a config to objects, and from objects to a finished run in a workdir."""

import contextlib
import copy
import dataclasses
import fcntl
import functools
import hashlib
import json
import operator
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time

import keras
import ml_collections
import numpy as np
import tensorflow as tf
from ml_collections import config_dict

from ram_tf import (
    data,
    evaluation,
    past_configs,
    policies,
    pretrained,
    random,
    reports,
    visualization,
)
from ram_tf.errors import InputError
from ram_tf.families import find_family
from ram_tf.files import write_json
from ram_tf.training.callbacks import (
    EarlyStopping,
    FirstStep,
    MetricsFile,
    PolicyMonitor,
    ProgressBar,
    StopOnSignal,
)
from ram_tf.training.checkpointing import (
    Checkpointing,
    find_checkpoint,
    load_weights,
    read_state,
)
from ram_tf.training.loop import Loop
from ram_tf.training.optimizers import make_optimizer
from ram_tf.training.strategy import (
    all_workers,
    any_worker,
    is_chief,
    leave_together,
    make_strategy,
    wait_for_all,
)
from ram_tf.training.trainer import Trainer

DTYPES = ("float32", "mixed_bfloat16", "mixed_float16")
_MONITORED_IMAGES = 256
# Keys that may differ when a run goes on: the data may have moved, and what the final
# test depends on may change until it is done, say because memory ran out there. Batches
# of another size also draw other noise in validation, which only estimates otherwise.
_PLACES = ("data.datapath",)
_TEST_ONLY = ("eval.batch_size", "eval.mc_samples", "eval.policies", "eval.seeds")
_WRITTEN = (
    "config.json",
    "dataset.json",
    "checkpoints",
    "metrics.csv",
    "tensorboard",
    "figures",
    "results.json",
)


def run(
    config,
    workdir,
    *,
    phase="all",
    until_epoch=None,
    overwrite=False,
    started=None,
    tested_on="test",
    accept_changed_data=False,
    report=print,
):
    """Trains, resumes or reports an experiment.

    Args:
        config: `ConfigDict` with every key.
        workdir: Folder of the run, made if needed. A family of several phases has a
            folder for each inside.
        phase: Name of the phase to train, or `"all"` in their order.
        until_epoch: Int >= 1, or `None`. A phase of more epochs ends after this many,
            as if it were stopped there, and is tested. It goes on when it is run again
            for longer, and then ends with the numbers of a run that never paused.
        overwrite: Boolean. Delete what is in `workdir` and start anew.
        started: `time.time()` at the start of the command, or `None`: now.
        tested_on: `"test"`, or `"validation"` where several runs are compared.
        accept_changed_data: Boolean. Go on over other images than those that a run
            began with, which may move between training and test.
        report: Function of one line of text.

    Returns:
        0 when the run is complete, 128 + the signal's number when one stopped it.
    """
    started = time.time() if started is None else started
    workdir = pathlib.Path(workdir)
    family = find_family(config.family)
    chosen = family.phases if phase == "all" else [family.phase(phase)]
    chief = is_chief(config.runtime.strategy)
    report = report if chief else _say_nothing
    config = past_configs.complete(config, "the config", report)
    with contextlib.ExitStack() as stack:
        stack.enter_context(all_workers(config.runtime.strategy))
        # Before the lock: the others learn that the chief was refused once they met.
        strategy = make_strategy(config.runtime.strategy)
        if chief:
            stack.enter_context(_locked(workdir))
        setup_runtime(config.runtime)
        configs = {each.name: phase_config(config, each) for each in chosen}
        for each in chosen:
            if each.starts_from in configs and not _starts_elsewhere(config, each):
                # What is given to all is for the first; then each goes on from another.
                configs[each.name].train.pretrain_checkpoint = None
        folders = {each.name: phase_folder(workdir, each, family) for each in chosen}
        # Everything that can be known to fail fails before anything is deleted.
        for each in chosen:
            _check_phase(configs[each.name], each)
            _check_batches(configs[each.name], strategy)
            if chief and not overwrite:
                _claim(folders[each.name], configs[each.name], report)
        if overwrite:
            _check_later_phases(workdir, family, chosen)
        dataset = load_data(config)
        for each in chosen:
            dataset.steps_per_epoch(configs[each.name].train.batch_size)
        if chief:
            kept = {phase_folder(workdir, each, family) for each in family.phases}
            kept -= set(folders.values()) if overwrite else set()
            to_train = _to_train(folders, configs, overwrite, until_epoch)
            stay = _check_data(dataset, kept, to_train, accept_changed_data, report)
        wait_for_all(strategy)
        if chief:
            _begin(folders, configs, overwrite, stay)
            _reopen(folders, configs, until_epoch, report)
        first_step = FirstStep(started, report)
        for each in chosen:
            folder = folders[each.name]
            # What another worker writes is there once all are here.
            wait_for_all(strategy)
            if not _is_finished(folder):
                weights = _find_weights(configs[each.name], each, folder)
                status = _train_phase(
                    configs[each.name],
                    each,
                    dataset,
                    folder,
                    weights,
                    strategy,
                    [first_step],
                    until_epoch,
                    tested_on,
                    report,
                )
                if status:
                    leave_together(strategy)
                    return status
            if not chief:
                continue
            results = json.loads((folder / "results.json").read_text())
            reports.report_results(results, report)
            report(f"wrote {folder}: results.json, metrics.csv, checkpoints, figures")
        leave_together(strategy)
    return 0


def check(config):
    """Refuses what would only fail after hours of training, before it begins."""
    for phase in find_family(config.family).phases:
        _check_phase(phase_config(config, phase), phase)


def phase_config(config, phase):
    """Returns the config of one phase: what it fixes, and its section, over `train`."""
    if phase.name not in config.phases:
        raise InputError(f"the config has no section phases.{phase.name}.")
    content = copy.deepcopy(config)
    section = config.phases[phase.name]
    own = ("weights", "returns") if phase.returns else ("weights",)
    for name, value in _plain(section).items():
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
        kept = {key: value for key, value in _plain(section).items() if key in own}
        content.phases = {phase.name: kept}
    return content


def _starts_elsewhere(config, phase):
    """Whether a phase's own section names the weights that it starts from."""
    section = config.phases[phase.name]
    return "pretrain_checkpoint" in section and section.pretrain_checkpoint is not None


def phase_folder(workdir, phase, family):
    """Returns the folder of a phase: the workdir, or one inside it."""
    workdir = pathlib.Path(workdir)
    return workdir / phase.name if len(family.phases) > 1 else workdir


def read_run(folder):
    """Reads what a run was of: its config, class names, and the shape of its images."""
    path = folder / "config.json"
    config = past_configs.complete(_read_json(path), path, _warn)
    past_configs.check_complete(config, path)
    dataset = read_dataset(folder)
    return config, tuple(dataset["class_names"]), tuple(dataset["image_shape"])


def read_dataset(folder):
    """Reads what a run keeps of its data, `describe_data`; older ones keep less."""
    return _read_json(folder / "dataset.json")


def describe_data(dataset):
    """What a run keeps of its data."""
    return {
        "class_names": dataset.class_names,
        "image_shape": dataset.image_shape,
        "fingerprint": dataset.fingerprint,
    }


def load_data(config, datapath=None):
    """Loads the config's data set, from `datapath` if given."""
    options = _plain(config.data)
    if datapath is not None:
        options["datapath"] = datapath
    return data.load(options.pop("name"), options.pop("datapath"), **options)


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


def build_network(config, image_shape, num_classes):
    """Builds the config's model, weights and all."""
    try:
        network = find_family(config.family).build(num_classes, **_plain(config.model))
    except (TypeError, ValueError) as error:
        raise InputError(f"the config's model cannot be built: {error}") from error
    network.build((None, *image_shape))
    return network


def last_phase(config):
    """The last phase that a config has a section for: that of a phase's own config."""
    return [
        each for each in find_family(config.family).phases if each.name in config.phases
    ][-1]


def build_policies(config):
    """Returns the policies a trained model can be evaluated with, name -> policy."""
    options = {
        # A list is what JSON makes of a tuple, but nothing that can be hashed.
        key: tuple(value) if isinstance(value, list) else value
        for key, value in _plain(config.policy).items()
    }
    try:
        phase = last_phase(config)
        own = {name: make(**options) for name, make in phase.policies.items()}
        own = {name: policy for name, policy in own.items() if policy is not None}
        learned = (phase.evaluated or phase.policy)(**options)
    except (TypeError, ValueError) as error:
        raise InputError(f"the config's policy cannot be built: {error}") from error
    return {"learned": learned, **own, **(policies.CONTROLS | own)}


def build_trainer(config, phase, network):
    """Builds the trainer of one phase around a network."""
    return Trainer(
        network,
        _configured(phase, config),
        phase.policy(**_plain(config.policy)),
        config.train.num_glimpses,
        mc_samples=config.train.mc_samples,
        eval_samples=config.eval.validation_mc_samples,
        clip_norm=config.train.clip_norm,
        xla=config.runtime.xla and not _is_shared(network),
        seed=config.runtime.seed,
    )


def shown_policy(config, everything):
    """The policy that predicts and is drawn unless another is named."""
    return everything.get(find_family(config.family).shown, everything["learned"])


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


def _phase_seed(seed, phase):
    """The seed of the weights that a phase does not take over: each phase its own."""
    if phase.starts_from is None:
        return seed
    digest = hashlib.sha256(f"{seed} {phase.name}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _is_shared(network):
    """Whether replicas exchange statistics inside a step, which XLA cannot compile."""
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    return several and any(
        isinstance(layer, keras.layers.BatchNormalization)
        for layer in network._flatten_layers()
    )


def _find_weights(config, phase, folder):
    """Returns the checkpoint that a phase starts from, or `None`."""
    if (folder / "checkpoints" / "last").exists():
        return None  # It goes on with its own.
    given = config.train.pretrain_checkpoint
    if given:
        place = pretrained.locate(given)
        if find_family(config.family).pretrained and not place.is_dir():
            return given  # For the network to make sense of.
        return _checkpoint_path(place, phase.starts_from)
    if phase.starts_from is None:
        return None
    before = folder.parent / phase.starts_from
    found, _ = find_checkpoint(before / "checkpoints" / "best", _warn)
    if found is None:
        raise InputError(
            f"phase {phase.name} starts from the weights of phase {phase.starts_from}, "
            f"and {before} has none: name a workdir that has with "
            "--pretrain_checkpoint, or train with --training_phase=all."
        )
    return found


def _take_over(network, weights, phase, config):
    """Gives a network the weights that a phase starts from.

    Of another phase, those of what looked in it: the rest did not learn then, and may
    have other sizes now.
    """
    if not pathlib.Path(weights).is_dir():
        network.load_pretrained(weights)
        return
    run = pathlib.Path(weights).parent.parent
    if not (run / "config.json").exists():
        load_weights(network, weights)
        return
    its_config, class_names, image_shape = read_run(run)
    if its_config.family != config.family:
        raise InputError(
            f"the weights of {weights} are of family {its_config.family}, this model "
            f"is of {config.family}."
        )
    before = last_phase(its_config)
    looker = before.view(network)
    if looker is network:
        load_weights(network, weights)
        return
    donor = build_network(its_config, image_shape, len(class_names))
    load_weights(donor, weights)
    try:
        looker.set_weights(before.view(donor).get_weights())
    except ValueError as error:
        raise InputError(
            f"the weights of {weights} do not fit this model: {error} Start from a "
            f"phase {before.name} with the same classes and the same parts."
        ) from error


def _train_phase(
    config,
    phase,
    dataset,
    folder,
    weights,
    strategy,
    callbacks,
    until_epoch,
    tested_on,
    report,
):
    """Trains one phase in its folder and tests it; returns 0 or an exit status.

    Of several workers the chief alone writes, and tests in the end.
    """
    chief = is_chief(config.runtime.strategy)
    if chief:
        write_json(folder / "dataset.json", describe_data(dataset))
    train = config.train
    steps_per_epoch = dataset.steps_per_epoch(train.batch_size)
    steps_per_epoch = train.steps_per_epoch or steps_per_epoch
    # Whatever the process did before, other phases above all.
    keras.utils.set_random_seed(_phase_seed(config.runtime.seed, phase))
    with strategy.scope():
        network = build_network(config, dataset.image_shape, dataset.num_classes)
        trainer = build_trainer(config, phase, network)
        optimizer, decisive = make_optimizer(
            train.learning_rate,
            _plain(train.schedule),
            total_steps=train.epochs * steps_per_epoch,
            steps_per_epoch=steps_per_epoch,
        )
        optimizer.build(trainer.trainable_variables)
        trainer.compile(optimizer=optimizer, jit_compile=False)
        if weights is not None:
            _take_over(network, weights, phase, config)
            report(f"{phase.name} starts from the weights of {weights}")
    everything = build_policies(config)
    reports.introduce(
        config, phase, dataset, network, strategy.num_replicas_in_sync, report
    )
    if train.early_stopping_patience:
        decisive.append(
            EarlyStopping(train.monitor, patience=train.early_stopping_patience)
        )
    stop = StopOnSignal(functools.partial(any_worker, strategy))
    checkpointing = Checkpointing(
        folder / "checkpoints",
        train.checkpoint_every_steps,
        steps_per_epoch,
        train.monitor,
        replayed=decisive,
        writes=chief,
        report=report,
    )
    written = [
        keras.callbacks.TensorBoard(folder / "tensorboard", write_graph=False),
        ProgressBar(),
    ]
    if not (folder / "checkpoints" / "last").exists():
        images, *_ = next(
            iter(
                dataset.train_batches(
                    train.batch_size,
                    seed=config.runtime.seed,
                    start_step=0,
                    num_steps=1,
                )
            )
        )
        trainer.looker.initialize(
            images,
            trainer.policy,
            train.num_glimpses,
            random.make_seed(config.runtime.seed),
        )
    loop = Loop(
        trainer,
        strategy,
        steps_per_execution=train.steps_per_execution,
        pause_every=train.checkpoint_every_steps,
    )
    loop.train(
        functools.partial(
            dataset.train_batches, train.batch_size, seed=config.runtime.seed
        ),
        # Schedules are those of all epochs, of which these are the first.
        epochs=_last_epoch(config, until_epoch),
        steps_per_epoch=steps_per_epoch,
        # What a callback adds to the logs is seen by those after it.
        callbacks=[
            *callbacks,
            _monitor(
                config,
                dataset,
                everything.get(phase.watched, everything["learned"]),
                folder if chief else None,
                report,
            ),
            *decisive,
            *(written if chief else []),
            stop,
            checkpointing,
            *([MetricsFile(folder / "metrics.csv", checkpointing)] if chief else []),
        ],
        validation=functools.partial(
            dataset.eval_batches,
            "validation",
            config.eval.batch_size,
            config.eval.max_examples,
        ),
    )
    if stop.received is not None:
        report(
            f"stopped at step {trainer.step} and saved in "
            f"{checkpointing.folder / 'last'}; the same command goes on."
        )
        return 128 + stop.received
    if not chief:
        return 0
    best, _ = find_checkpoint(checkpointing.folder / "best", report)
    if best is None:  # Training wrote one; somebody deleted it.
        raise InputError(
            f"{checkpointing.folder} has no best checkpoint: restore it from a backup, "
            "or start anew with --overwrite."
        )
    load_weights(network, best)
    rates = [row["images_per_second"] for row in checkpointing.history]
    write_json(
        folder / "results.json",
        {
            **_final_test(
                config, trainer.looker, everything, dataset, folder, tested_on
            ),
            "train_seconds": read_state(checkpointing.folder / "last")["seconds"],
            "images_per_second": float(np.median(rates)),
            "best": checkpointing.best,
            "steps": trainer.step,
            "epochs": len(checkpointing.history),
            "until_epoch": _last_epoch(config, until_epoch),
            "parameters": network.count_params(),
            "environment": describe_environment(),
        },
    )
    return 0


def _monitor(config, dataset, policy, folder, report):
    images, labels = dataset.some("validation", _MONITORED_IMAGES)
    return PolicyMonitor(
        policy,
        images,
        labels,
        dataset.class_names,
        folder and folder / "figures",
        every_epochs=config.train.picture_every_epochs,
        tensorboard=folder and folder / "tensorboard" / "glimpses",
        report=report,
    )


def _final_test(config, network, everything, dataset, folder, split):
    """Measures the best weights once, on the test set if not told, and draws them."""
    compared = evaluation.compare_policies(
        network,
        pick_policies(everything, config.eval.policies),
        dataset.eval_batches(split, config.eval.batch_size, config.eval.max_examples),
        config.train.num_glimpses,
        groups=dataset.eval_groups(split, config.eval.max_examples),
        mc_samples=config.eval.mc_samples,
        seeds=config.eval.seeds,
        unknown_class=dataset.unknown_class,
        xla=config.runtime.xla,
    )
    learned = compared["policies"]["learned"]
    images, labels = dataset.some(split, 6)
    recording = visualization.record(
        network,
        shown_policy(config, everything),
        images,
        config.train.num_glimpses,
    )
    picture = folder / "figures" / f"{split}_glimpses.png"
    visualization.plot_recording(recording, picture, dataset.class_names, labels)
    return {
        split: {
            "accuracy": learned["accuracy"]["mean"][-1],
            "standard_error": learned["accuracy"]["standard_error"][-1],
            "accuracy_per_glimpse": learned["accuracy"]["mean"],
            "accuracy_one_sample": learned["accuracy_one_sample"]["mean"][-1],
            "num_examples": compared["num_examples"],
        },
        "comparison": compared,
        "picture": str(picture),
    }


def describe_environment(source=pathlib.Path(__file__).parent):
    """Returns versions, machine and commit, as far as they can be known.

    `dirty` says whether a file that git knows was changed since the commit.

    Args:
        source: Folder of the code.
    """

    def ask(*words):
        asked = subprocess.run(
            ["git", *words], capture_output=True, text=True, check=True, cwd=source
        )
        return asked.stdout.strip()

    try:
        commit = ask("rev-parse", "--short", "HEAD")
        dirty = bool(ask("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        commit = dirty = None
    return {
        "commit": commit,
        "dirty": dirty,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def _check_phase(config, phase):
    _check_numbers(config)
    _check_start(config)
    evaluated = pick_policies(build_policies(config), config.eval.policies)
    if "learned" not in evaluated:
        raise InputError(
            f"eval.policies {tuple(evaluated)} must include 'learned', the policy that "
            "was trained with."
        )
    _configured(phase, config)
    train = config.train
    make_optimizer(
        train.learning_rate, _plain(train.schedule), total_steps=1, steps_per_epoch=1
    )
    for key, name in _monitored(train).items():
        check_monitor(phase, key, name)


def check_monitor(phase, key, name):
    """Raises an `InputError` if no epoch of a phase logs `name`, or it decides nothing.

    Args:
        phase: A `Phase`.
        key: What asks for it, to be named.
        name: Name of a log.
    """
    names = ["loss", "accuracy", *phase.weights]
    names += [f"val_{name}" for name in names]
    names += ["spread", "coverage", "revisits"]
    if name not in names:
        raise InputError(
            f"{key} is {name!r}, expected one of {', '.join(sorted(names))}."
        )


def _check_later_phases(workdir, family, overwritten):
    """Refuses to delete the weights that another phase's result comes from."""
    names = {phase.name for phase in overwritten}
    for phase in family.phases:
        kept = phase.starts_from in names and phase.name not in names
        if kept and (phase_folder(workdir, phase, family) / "checkpoints").exists():
            raise InputError(
                f"{workdir} holds a phase {phase.name} that started from phase "
                f"{phase.starts_from}, which --overwrite would delete: overwrite all "
                "of them with --training_phase=all, or use another --workdir."
            )


def _monitored(train):
    """The names of logs that decide something, by their keys."""
    monitored = {"train.monitor": train.monitor}
    if train.schedule.kind == "plateau":
        monitored["train.schedule.monitor"] = train.schedule.monitor
    return monitored


def _configured(phase, config):
    """The phase with the config's weights of its terms, and its choice of returns."""
    section = config.phases[phase.name]
    weights = _plain(section.weights)
    # What a phase gives no weight is measured and not learned from.
    expected = {name for name, weight in phase.weights.items() if weight}
    if set(weights) != expected:
        raise InputError(
            f"phases.{phase.name}.weights has the terms {sorted(weights)}, expected "
            f"{sorted(expected)}."
        )
    objective = phase.objective
    if phase.returns:
        chosen = section.get("returns") or next(iter(phase.returns))
        if chosen not in phase.returns:
            raise InputError(
                f"phases.{phase.name}.returns is {chosen!r}, expected one of "
                f"{', '.join(phase.returns)}."
            )
        objective = functools.partial(objective, returns=phase.returns[chosen])
    return dataclasses.replace(
        phase, weights={**phase.weights, **weights}, objective=objective
    )


def _check_numbers(config):
    """Refuses numbers of the train and eval sections that cannot be meant."""
    for section in ("train", "eval"):
        for name, value in _plain(config[section]).items():
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if is_number and not 0 < value < float("inf"):
                raise InputError(f"{section}.{name} must be positive, got {value}.")


def _check_start(config):
    """Refuses weights to start from that nothing here can read.

    A folder may still be written by a phase that trains before.
    """
    given = config.train.pretrain_checkpoint
    if not given:
        return
    place = pretrained.locate(given)
    if re.search(r"\.(ckpt|pt|pth|tar)\b", place.name) and not place.is_dir():
        known = (
            "a workdir that train.py wrote, a checkpoint folder in one, packaged:NAME"
        )
        if find_family(config.family).pretrained:
            known += ", imagenet or a Keras .weights.h5 file"
        raise InputError(
            f"pretrain_checkpoint {given!r} names weights of another program: expected "
            f"{known}. tools/import_torch_checkpoint.py makes a workdir of RAM's "
            "published weights."
        )


def _check_batches(config, strategy):
    replicas = strategy.num_replicas_in_sync
    for name in ("train", "eval"):
        size = config[name].batch_size
        if size % replicas:
            raise InputError(
                f"{name}.batch_size {size} cannot be shared by {replicas} replicas: "
                f"use a multiple of {replicas}."
            )


def _checkpoint_path(path, phase_name):
    """A checkpoint folder, or the best checkpoint of a workdir or of a phase in it."""
    path = pathlib.Path(path)
    for folder in (path / (phase_name or "."), path):
        if (folder / "checkpoints").is_dir():
            found, _ = find_checkpoint(folder / "checkpoints" / "best", _warn)
            if found is not None:
                return found
    read_state(path)
    return path


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


def _plain(section):
    """A config section as plain dictionaries."""
    return section.to_dict()


@contextlib.contextmanager
def _locked(workdir):
    """Holds the workdir for this process; the lock goes with the process."""
    workdir.mkdir(parents=True, exist_ok=True)
    with open(workdir / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"another process is training in {workdir}: wait for it, stop it, or "
                "use another --workdir."
            ) from error
        yield


def _claim(workdir, config, report):
    """Refuses to go on with a run of another config; a new run's is written."""
    path = workdir / "config.json"
    if not _is_begun(workdir):
        _write_config(workdir, config)
        return
    allowed = _PLACES if _is_finished(workdir) else (*_PLACES, *_TEST_ONLY)
    old = past_configs.complete(_read_json(path), path, report)
    old, new = (json.loads(each.to_json()) for each in (old, config))
    differing = sorted(_differences(old, new, allowed))
    if differing:
        raise InputError(
            f"{workdir} holds a run of another config; differing: "
            f"{'; '.join(differing)}. Use another --workdir, or --overwrite to "
            "delete it and start anew."
        )


def _write_config(workdir, config):
    write_json(workdir / "config.json", json.loads(config.to_json()))


def _is_begun(workdir):
    return any(workdir.glob("checkpoints/*")) and (workdir / "config.json").exists()


def _is_finished(workdir):
    return (workdir / "results.json").exists()


def check_classes(class_names, image_shape, dataset):
    """Refuses classes or sizes that a model was not trained on.

    A label is a number: of other classes it would be counted as another one.
    """
    own = tuple(class_names), tuple(image_shape)
    found = tuple(dataset.class_names), tuple(dataset.image_shape)
    if found != own:
        raise InputError(
            f"these data have {_describe_classes(*found)}, the model was trained on "
            f"{_describe_classes(*own)}: give a --datapath with the same ones."
        )


def _describe_classes(class_names, image_shape, longest=10):
    names = ", ".join(class_names[:longest])
    more = ", ..." if len(class_names) > longest else ""
    shape = "x".join(map(str, image_shape))
    return f"{len(class_names)} classes ({names}{more}) in images of {shape}"


def _begin(folders, configs, overwrite, stay):
    """Writes the configs of phases, by name, into their folders, but for some."""
    for name, folder in folders.items():
        if overwrite:
            _delete_run(folder)
        for known in (*_WRITTEN, "checkpoints/seconds.json"):
            for aside in folder.glob(f"{known}.*.writing"):  # By a killed process.
                aside.unlink()
        if folder not in stay:
            _write_config(folder, configs[name])


def _to_train(folders, configs, overwrite, until_epoch):
    """The folders of phases, by name, in which something is left to be trained."""
    left = set()
    for name, folder in folders.items():
        ended_before = _ended_before(folder, _last_epoch(configs[name], until_epoch))
        if overwrite or not _is_finished(folder) or ended_before is not None:
            left.add(folder)
    return left


def _ended_before(folder, last):
    """The epoch after which a finished phase ended, if it was before `last`."""
    if not _is_finished(folder):
        return None
    ended = _read_json(folder / "results.json").get("until_epoch", last)
    return ended if ended < last else None


def _check_data(dataset, kept, to_train, accept, report):
    """Refuses to train over other data than those of the runs that are there.

    Other images move between training and test, and what was learned from is tested.

    Args:
        dataset: A `Dataset`.
        kept: Set of the folders of phases that may have a run, which is kept.
        to_train: Set of the folders of phases that will be trained.
        accept: Boolean. Whether other images will do; other classes never do.
        report: Function of one line of text.

    Returns:
        Those of `kept` whose finished run was over other data.
    """
    changed = []
    for folder in sorted(filter(_is_begun, kept)):
        was = read_dataset(folder)
        if to_train:
            check_classes(was["class_names"], was["image_shape"], dataset)
        before = was.get("fingerprint")
        if before is None and folder in to_train:
            report(
                f"{folder} keeps no fingerprint of its data: that of these is taken, "
                f"{dataset.fingerprint}"
            )
        if before in (None, dataset.fingerprint):
            continue
        changed.append(folder)
        what = (
            f"the data have changed since {folder} began: {before} then, "
            f"{dataset.fingerprint} now"
        )
        if to_train and not accept:
            raise InputError(
                f"{what}. Images may have moved between training and test: give back "
                "the data as they were, or go on with these by --accept_changed_data, "
                "or start anew with --overwrite."
            )
        report(f"{what}; {'accepted' if to_train else 'nothing of it is rewritten'}")
    return [folder for folder in changed if folder not in to_train]


def _last_epoch(config, until_epoch):
    epochs = config.train.epochs
    return epochs if until_epoch is None else min(until_epoch, epochs)


def _reopen(folders, configs, until_epoch, report):
    """Takes back the results of phases that ended earlier than is asked for now."""
    for name, folder in folders.items():
        last = _last_epoch(configs[name], until_epoch)
        before = _ended_before(folder, last)
        if before is not None:
            report(f"{folder} ended after epoch {before} and goes on to {last}")
            (folder / "results.json").unlink()


def _read_json(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot read {path}: --workdir takes a folder that train.py wrote."
        ) from error


def _delete_run(workdir):
    """Deletes what a run writes, and nothing else: the folder may hold other things."""
    for name in _WRITTEN:
        entry = workdir / name
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)


def _differences(old, new, allowed, prefix=""):
    """Yields what differs, but for the keys that may."""
    for key in {*old, *new}:
        left, right = old.get(key, "nothing"), new.get(key, "nothing")
        if isinstance(left, dict) and isinstance(right, dict):
            yield from _differences(left, right, allowed, f"{prefix}{key}.")
        elif left != right and f"{prefix}{key}" not in allowed:
            yield f"{prefix}{key} was {left!r}, is {right!r}"


def _say_nothing(line):
    """Stands for `report` where another worker speaks for all."""


def _warn(line):
    print(f"warning: {line}", file=sys.stderr)
