"""A finished run in a workdir."""

import contextlib
import json
import pathlib
import time

from ram_tf.evaluation import reports
from ram_tf.experiment import past_configs
from ram_tf.experiment.build import (
    load_data,
    setup_runtime,
)
from ram_tf.experiment.check import check_batches, check_phase
from ram_tf.experiment.config import phase_config
from ram_tf.experiment.phase_run import PhaseRun, Session
from ram_tf.experiment.start import starts_elsewhere
from ram_tf.experiment.workdir import (
    begin,
    check_data,
    check_later_phases,
    claim,
    folders_to_train,
    is_finished,
    locked,
    phase_folder,
    reopen,
)
from ram_tf.families import find_family
from ram_tf.training.callbacks import (
    FirstStep,
)
from ram_tf.training.strategy import (
    all_workers,
    is_chief,
    leave_together,
    make_strategy,
    wait_for_all,
)


# The options of a command, by name.
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
        configs = _configs(config, chosen)
        folders = {each.name: phase_folder(workdir, each, family) for each in chosen}
        # Everything that can be known to fail fails before anything is deleted.
        for each in chosen:
            check_phase(configs[each.name], each)
            check_batches(configs[each.name], strategy)
            if chief and not overwrite:
                claim(folders[each.name], configs[each.name], report)
        if overwrite:
            check_later_phases(workdir, family, chosen)
        dataset = load_data(config, report=report)
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
        session = Session(
            dataset, strategy, chief, until_epoch, tested_on, (first_step,), report
        )
        status = _run_phases(chosen, configs, folders, session)
        leave_together(strategy)
    return status


def _configs(config, chosen):
    """The configs of phases, by name."""
    configs = {each.name: phase_config(config, each) for each in chosen}
    for each in chosen:
        if each.starts_from in configs and not starts_elsewhere(config, each):
            # What is given to all is for the first; then each goes on from another.
            configs[each.name].train.pretrain_checkpoint = None
    return configs


def _run_phases(chosen, configs, folders, session):
    """Runs the phases that are not finished; returns 0 or an exit status."""
    for phase in chosen:
        folder = folders[phase.name]
        # What another worker writes is there once all are here.
        wait_for_all(session.strategy)
        if not is_finished(folder):
            status = PhaseRun(configs[phase.name], phase, folder, session).run()
            if status:
                return status
        if session.chief:
            results = json.loads((folder / "results.json").read_text())
            reports.report_results(results, session.report)
            session.report(
                f"wrote {folder}: results.json, metrics.csv, checkpoints, figures"
            )
    return 0


def _say_nothing(line):
    """Stands for `report` where another worker speaks for all."""
