"""Searches over the keys of a config, on keras-tuner."""

import csv
import functools
import hashlib
import json
import pathlib
import shutil

import keras
import keras_tuner
import numpy as np
from keras_tuner.engine import base_tuner
from keras_tuner.engine.trial import Trial
from ml_collections import config_dict

from ram_tf import experiment
from ram_tf.errors import InputError, only_warned
from ram_tf.families import find_family
from ram_tf.files import expand_path, whole_file, write_json
from ram_tf.pictures.curves import plot_lines
from ram_tf.studies import sharing
from ram_tf.training.checkpointing import read_state
from ram_tf.training.monitors import monitor_mode


class _Grid(keras_tuner.oracles.GridSearchOracle):
    """A search of a grid that can go on: the library's forgets what it has tried.

    Its order of trials, and which of them may have a neighbour that was not tried, are
    made again from the trials.
    """

    def set_state(self, state):
        super().set_state(state)

        def compare(one, other):
            values = (each.hyperparameters.values for each in (one, other))
            return self._compare(*values)

        for trial in sorted(self.trials.values(), key=functools.cmp_to_key(compare)):
            self._ordered_ids.insert(trial.trial_id)
        self._populate_next.extend(self.start_order)


ORACLES = {
    "random": keras_tuner.oracles.RandomSearchOracle,
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    "grid": _Grid,
    "hyperband": keras_tuner.oracles.HyperbandOracle,
}


# The options of a command, by name.
def search(
    config,
    space,
    workdir,
    *,
    tuner="random",
    max_trials=20,
    objective="val_accuracy",
    phase=None,
    seed=0,
    report=print,
):
    """Searches for the best values of some keys, or goes on with such a search.

    Every trial is an ordinary workdir, `workdir/trials/<id>`, tested on the validation
    images alone. In the end `workdir` holds `trials.csv`, `search.png` and
    `best_config.py`, which `train.py` takes.

    Hyperband ends most trials early. A trial that it trains further is a new one that
    goes on from a copy of the trial before, optimizer and all: it ends with the numbers
    of a run of its values that was never paused. The learning rate follows the schedule
    of all `train.epochs` in every trial, and a score is the best of all epochs since
    the first, whichever trial ran them.

    With keras-tuner's environment variables
    (`KERASTUNER_TUNER_ID`, `KERASTUNER_ORACLE_IP`, `KERASTUNER_ORACLE_PORT`) one
    process is the chief and the others its workers, in one shared `workdir`.

    Args:
        config: `ConfigDict` with every key.
        space: Dictionary: dotted config key -> function of `(hp, name)` that returns
            its value, or `None` to leave the key as it is.
        workdir: Folder of the search.
        tuner: Name of an oracle, a key of `ORACLES`.
        max_trials: Int.
        objective: Name of a log of an epoch, whose best value counts: the highest or
            the lowest, see `monitors.monitor_mode`.
        phase: Name of the phase to search for, or `None`: the family's only one. One
            that starts from another's weights needs `train.pretrain_checkpoint`.
        seed: Int, of the search.
        report: Function of one line of text.

    Returns:
        0, or 128 + the signal's number when one stopped it.

    Raises:
        InputError: If the space, the phase or `workdir` cannot be meant, another search
            is running there, its state is damaged, or every trial failed.
    """
    workdir = pathlib.Path(expand_path(workdir))
    # A trial that is refused counts as a failed one: what all would be refused for is
    # said before.
    experiment.check(config)
    family = find_family(config.family)
    phase = _phase(family, phase)
    experiment.check_monitor(phase, "objective", objective)
    chosen = experiment.phase_config(config, phase)
    _check_decided(space, phase, tuner)
    if phase.starts_from and chosen.train.pretrain_checkpoint is None:
        raise InputError(
            f"phase {phase.name} starts from the weights of phase {phase.starts_from}: "
            "name a workdir that has them with --pretrain_checkpoint."
        )
    hypermodel = _Space(space)
    parameters = keras_tuner.HyperParameters()
    hypermodel.build(parameters)
    if not parameters.space:
        raise InputError("the space is empty: it needs one key at least.")
    experiment.vary(chosen, hypermodel.overrides(parameters))
    with sharing.held(workdir):
        _claim(workdir, config, parameters, tuner, objective, phase)
        oracle = _oracle(tuner, max_trials, objective, chosen.train.epochs, seed)
        try:
            running = _Search(
                config,
                phase,
                objective,
                report,
                oracle=oracle,
                hypermodel=hypermodel,
                directory=str(workdir),
                project_name="oracle",
            )
        except (KeyError, RuntimeError, ValueError) as error:
            raise InputError(
                f"the state of the search in {workdir / 'oracle'} is damaged "
                f"({' '.join(str(error).split())}): delete that folder, and the same "
                "command begins again and takes finished trials as they are."
            ) from error
        try:
            with sharing.answered(), sharing.watched(oracle, workdir, report):
                running.search()
        except _Interrupted as interrupted:
            report(f"stopped; the same command goes on with the search in {workdir}.")
            return interrupted.status
        if isinstance(running.oracle, keras_tuner.Oracle):  # Not a worker of a chief.
            _summarise(running, config, workdir, report)
    return 0


class _Interrupted(keras_tuner.errors.FatalError):
    """A trial was stopped by a signal: the search stops with it."""

    def __init__(self, status):
        super().__init__(f"stopped with status {status}")
        self.status = status


class _Space(keras_tuner.HyperModel):
    """The space as keras-tuner asks for it."""

    def __init__(self, space):
        super().__init__()
        self.space = space

    def build(self, hp):
        self.overrides(hp)

    def overrides(self, hp):
        """Dotted key -> value of one point of the space."""
        values = {key: choose(hp, key) for key, choose in self.space.items()}
        return {key: value for key, value in values.items() if value is not None}


class _Search(base_tuner.BaseTuner):
    """Runs each trial as an experiment."""

    def __init__(self, config, phase, objective, report, **kwargs):
        self.config = config
        self.phase = phase
        self.objective = objective
        self.report = report
        super().__init__(**kwargs)

    def reload(self):
        # It would take a `[` in the path of the search for a pattern.
        for path in pathlib.Path(self.project_dir).glob("trial_*/trial.json"):
            trial = Trial.load(str(path))
            self.oracle.trials[trial.trial_id] = trial
        super().reload()

    def run_trial(self, trial):
        parameters = trial.hyperparameters
        overrides = self.hypermodel.overrides(parameters)
        self.report(f"trial {trial.trial_id}: {json.dumps(overrides)}")
        # Hyperband says where to start, and how many epochs there are to be since the
        # first one.
        until, parent = (
            parameters.values.get(f"tuner/{name}") for name in ("epochs", "trial_id")
        )
        if parent:
            epochs = parameters.values["tuner/initial_epoch"]
            self._go_on_from(parent, trial.trial_id, epochs)
        status = experiment.run(
            self.trial_config(parameters),
            self.folder(trial.trial_id),
            phase=self.phase.name,
            until_epoch=until,
            tested_on="validation",
            report=self.report,
        )
        if status:
            raise _Interrupted(status)
        keras.backend.clear_session()
        return {self.objective: self.results(trial.trial_id)["best"]["value"]}

    def on_trial_end(self, trial):
        if trial.message:
            self.report(f"trial {trial.trial_id} failed: {_last_line(trial)}")
        super().on_trial_end(trial)

    def _go_on_from(self, parent, trial_id, epochs):
        """Makes a trial's folder a copy of another's, as that was after its epochs."""
        folder = self.phase_folder(trial_id)
        if folder.exists():  # The trial was interrupted after this.
            return
        source = self.phase_folder(parent)
        try:
            trained = self.results(parent).get("until_epoch")
            for name in ("last", "best"):
                read_state(source / "checkpoints" / name)
        except (OSError, ValueError, InputError) as error:
            raise InputError(
                f"trial {trial_id} cannot go on from trial {parent}: {error}"
            ) from error
        if trained != epochs:
            raise InputError(
                f"trial {trial_id} cannot go on from trial {parent}: that ended after "
                f"epoch {trained}, expected {epochs}."
            )
        self.report(f"trial {trial_id} goes on from trial {parent}, epoch {epochs}")
        aside = folder.with_name(f"{folder.name}.writing")
        shutil.rmtree(aside, ignore_errors=True)
        left = ("results.json", "figures", "*.previous", "*.writing", ".lock")
        shutil.copytree(source, aside, ignore=shutil.ignore_patterns(*left))
        aside.rename(folder)

    def trial_config(self, parameters):
        """The config of a trial, whose best weights are those of the objective."""
        overrides = self.hypermodel.overrides(parameters)
        return experiment.vary(
            self.config, {**overrides, "train.monitor": self.objective}
        )

    def folder(self, trial_id):
        return pathlib.Path(self.directory) / "trials" / trial_id

    def phase_folder(self, trial_id):
        family = find_family(self.config.family)
        return experiment.phase_folder(self.folder(trial_id), self.phase, family)

    def results(self, trial_id):
        return json.loads((self.phase_folder(trial_id) / "results.json").read_text())


def _phase(family, name):
    """The phase of that name, or a family's only one."""
    if name is None and len(family.phases) > 1:
        known = ", ".join(each.name for each in family.phases)
        raise InputError(
            f"the family has the phases {known}: name the one to search for with "
            "--training_phase."
        )
    return family.phase(name or family.phases[0].name)


def _check_decided(space, phase, tuner):
    """Refuses a space that sets what the search itself decides."""
    decided = {"monitor": "the objective"}
    if tuner == "hyperband":
        decided["epochs"] = "hyperband"
    for name, who in decided.items():
        for key in (f"train.{name}", f"phases.{phase.name}.{name}"):
            if key in space:
                raise InputError(
                    f"the space sets {key}, which {who} decides: leave it."
                )


def _oracle(tuner, max_trials, objective, epochs, seed):
    if tuner not in ORACLES:
        known = ", ".join(sorted(ORACLES))
        raise InputError(f"unknown tuner {tuner!r}: expected one of {known}.")
    options = {
        "objective": keras_tuner.Objective(objective, monitor_mode(objective)),
        "seed": seed + 1,  # It takes 0 for none, and draws one.
        "max_consecutive_failed_trials": max_trials + 1,
    }
    if tuner == "hyperband":
        oracle = ORACLES[tuner](max_epochs=epochs, hyperband_iterations=100, **options)
        oracle.max_trials = max_trials  # Where it would go on, it stops as others do.
        return oracle
    return ORACLES[tuner](max_trials=max_trials, **options)


def _claim(workdir, config, parameters, tuner, objective, phase):
    """Says in the folder what is searched for, or refuses another search there."""
    content = {
        "config": hashlib.sha256(config.to_json().encode()).hexdigest(),
        "space": json.loads(json.dumps(parameters.get_config()["space"], default=str)),
        "tuner": tuner,
        "objective": objective,
        "phase": phase.name,
    }
    path = workdir / "search.json"
    if path.exists():
        found = experiment.read_json(path)
        differing = [key for key in content if found.get(key) != content[key]]
        if differing:
            raise InputError(
                f"{workdir} holds another search: {', '.join(differing)} differ. Use "
                "another --workdir."
            )
    else:
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(path, content)


def _summarise(running, config, workdir, report):
    """Writes the table, the plot and the best config, and says what was found."""
    trials = sorted(running.oracle.trials.values(), key=lambda trial: trial.trial_id)
    rows = [_row(running, trial) for trial in trials]
    with whole_file(workdir / "trials.csv") as file:
        names = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    scores = np.array([row["score"] for row in rows], float)
    failed = int(np.isnan(scores).sum())
    report(f"{len(rows)} trials, {failed} failed")
    for row in rows:
        if np.isnan(row["score"]):
            report(f"trial {row['trial']} failed: {row['message'] or row['status']}")
    if failed == len(rows):
        raise InputError(f"every trial failed: see {workdir / 'trials.csv'}.")
    sign = 1 if running.oracle.objective.direction == "max" else -1
    best = trials[np.nanargmax(sign * scores)]  # The first of equals, as is promoted.
    so_far = sign * np.fmax.accumulate(sign * scores)
    number = np.arange(1, len(rows) + 1)
    curves = {"trial": (number, scores), "best so far": (number, so_far)}
    with only_warned("no search.png", report):
        plot_lines(curves, workdir / "search.png", "trial", running.objective)
    overrides = running.hypermodel.overrides(best.hyperparameters)
    chosen = running.trial_config(best.hyperparameters)
    several = len(find_family(config.family).phases) > 1
    phase = f" --training_phase={running.phase.name}" if several else ""
    length = (
        f"trained {_epochs(running, best) or '?'} of the "
        f"{experiment.phase_config(chosen, running.phase).train.epochs} epochs of its "
        "config"
    )
    path = workdir / "best_config.py"
    with whole_file(path) as file:
        file.write(config_source(chosen, overrides, phase, length))
    report(
        f"best trial {best.trial_id}, {running.objective} {best.score:.4f}, {length}: "
        f"{json.dumps(overrides)}"
    )
    report(
        f"wrote {path}, trials.csv and search.png: training with "
        f"--config={path}{phase} trains all epochs"
    )


def _row(running, trial):
    return {
        "trial": trial.trial_id,
        "status": trial.status,
        "score": float("nan") if trial.score is None else trial.score,
        **running.hypermodel.overrides(trial.hyperparameters),
        "epochs": _epochs(running, trial),
        "message": _last_line(trial),
    }


def _epochs(running, trial):
    """The epochs behind a trial's score, since the first; nothing if there are none."""
    try:
        return running.results(trial.trial_id)["epochs"]
    except (OSError, ValueError, KeyError):
        return ""


def _last_line(trial):
    return ((trial.message or "").strip().splitlines() or [""])[-1]


def config_source(config, overrides, phase, length):
    """The config of a search's best trial as the source of a file for `train.py`.

    Args:
        config: `ConfigDict`.
        overrides: Dictionary: dotted config key -> value, what the search set.
        phase: The end of the command that trains it.
        length: How much of its training the trial had, in words.
    """
    said = "\n".join(f"  {key} = {value!r}" for key, value in overrides.items())
    return (
        f'"""The best config of a search, which set\n\n{said}\n\n'
        f"and {length}; this command trains all of them:\n\n"
        f'  python train.py --config=FILE{phase}\n"""\n\n'
        "from ml_collections import config_dict\n\n\n"
        f"def get_config():\n    return {_literal(config, 1)}\n"
    )


def _literal(section, depth):
    lines = []
    for key, field in section.items(preserve_field_references=True):
        value = section[key]
        if isinstance(value, config_dict.ConfigDict):
            text = _literal(value, depth + 2)
        elif isinstance(field, config_dict.FieldReference):
            kind = f"field_type={field.get_type().__name__}"
            text = f"config_dict.FieldReference({value!r}, {kind})"
        else:
            text = repr(value)
        lines.append(f"{'    ' * (depth + 2)}{key!r}: {text},\n")
    inner, outer = "    " * (depth + 1), "    " * depth
    body = "".join(lines)
    return f"config_dict.ConfigDict(\n{inner}{{\n{body}{inner}}}\n{outer})"
