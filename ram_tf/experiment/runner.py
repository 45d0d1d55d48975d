"""A finished run in a workdir."""

import contextlib
import functools
import json
import pathlib
import time

import keras
import numpy as np

from ram_tf import evaluation, random
from ram_tf.errors import InputError
from ram_tf.evaluation import reports
from ram_tf.experiment import past_configs
from ram_tf.experiment.build import (
    build_network,
    build_policies,
    build_trainer,
    load_data,
    pick_policies,
    setup_runtime,
    shown_policy,
)
from ram_tf.experiment.check import check_batches, check_phase
from ram_tf.experiment.config import last_epoch, phase_config, phase_seed, plain
from ram_tf.experiment.environment import describe_environment
from ram_tf.experiment.monitor import make_monitor
from ram_tf.experiment.start import find_weights, starts_elsewhere, take_over
from ram_tf.experiment.workdir import (
    begin,
    check_data,
    check_later_phases,
    claim,
    describe_data,
    folders_to_train,
    is_finished,
    locked,
    phase_folder,
    reopen,
)
from ram_tf.families import find_family
from ram_tf.files import write_json
from ram_tf.training.callbacks import (
    EarlyStopping,
    FirstStep,
    MetricsFile,
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
            stack.enter_context(locked(workdir))
        setup_runtime(config.runtime)
        configs = {each.name: phase_config(config, each) for each in chosen}
        for each in chosen:
            if each.starts_from in configs and not starts_elsewhere(config, each):
                # What is given to all is for the first; then each goes on from another.
                configs[each.name].train.pretrain_checkpoint = None
        folders = {each.name: phase_folder(workdir, each, family) for each in chosen}
        # Everything that can be known to fail fails before anything is deleted.
        for each in chosen:
            check_phase(configs[each.name], each)
            check_batches(configs[each.name], strategy)
            if chief and not overwrite:
                claim(folders[each.name], configs[each.name], report)
        if overwrite:
            check_later_phases(workdir, family, chosen)
        dataset = load_data(config)
        for each in chosen:
            dataset.steps_per_epoch(configs[each.name].train.batch_size)
        if chief:
            kept = {phase_folder(workdir, each, family) for each in family.phases}
            kept -= set(folders.values()) if overwrite else set()
            to_train = folders_to_train(folders, configs, overwrite, until_epoch)
            stay = check_data(dataset, kept, to_train, accept_changed_data, report)
        wait_for_all(strategy)
        if chief:
            begin(folders, configs, overwrite, stay)
            reopen(folders, configs, until_epoch, report)
        first_step = FirstStep(started, report)
        for each in chosen:
            folder = folders[each.name]
            # What another worker writes is there once all are here.
            wait_for_all(strategy)
            if not is_finished(folder):
                weights = find_weights(configs[each.name], each, folder)
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
    keras.utils.set_random_seed(phase_seed(config.runtime.seed, phase))
    with strategy.scope():
        network = build_network(config, dataset.image_shape, dataset.num_classes)
        trainer = build_trainer(config, phase, network)
        optimizer, decisive = make_optimizer(
            train.learning_rate,
            plain(train.schedule),
            total_steps=train.epochs * steps_per_epoch,
            steps_per_epoch=steps_per_epoch,
        )
        optimizer.build(trainer.trainable_variables)
        trainer.compile(optimizer=optimizer, jit_compile=False)
        if weights is not None:
            take_over(network, weights, phase, config)
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
        epochs=last_epoch(config, until_epoch),
        steps_per_epoch=steps_per_epoch,
        # What a callback adds to the logs is seen by those after it.
        callbacks=[
            *callbacks,
            make_monitor(
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
            "until_epoch": last_epoch(config, until_epoch),
            "parameters": network.count_params(),
            "environment": describe_environment(),
        },
    )
    return 0


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
    # Drawing alone needs matplotlib, which takes long to import.
    from ram_tf.pictures.glimpses import plot_recording
    from ram_tf.pictures.record import record

    recording = record(
        network,
        shown_policy(config, everything),
        images,
        config.train.num_glimpses,
    )
    picture = folder / "figures" / f"{split}_glimpses.png"
    plot_recording(recording, picture, dataset.class_names, labels)
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


def _say_nothing(line):
    """Stands for `report` where another worker speaks for all."""
