"""Trains one phase of a run in its folder, and tests it."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from ram_tf import random
from ram_tf.errors import InputError
from ram_tf.evaluation import reports
from ram_tf.experiment.build import build_network, build_policies, build_trainer
from ram_tf.experiment.config import last_epoch, phase_seed, plain
from ram_tf.experiment.environment import describe_command, describe_environment
from ram_tf.experiment.final_test import final_test
from ram_tf.experiment.monitor import make_monitor
from ram_tf.experiment.start import find_weights, take_over
from ram_tf.experiment.workdir import describe_data
from ram_tf.families import Phase
from ram_tf.files import write_json
from ram_tf.training.callbacks import (
    EarlyStopping,
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
from ram_tf.training.strategy import any_worker


@dataclasses.dataclass(frozen=True)
class Session:
    """What all phases of one call of `run` share.

    Attributes:
        dataset: A `Dataset`.
        strategy: A `tf.distribute` strategy.
        chief: Boolean. Whether this process writes, and tests in the end.
        until_epoch: Int or `None`, see `run`.
        tested_on: Name of the split of the final test.
        callbacks: Tuple of Keras callbacks that see every phase.
        report: Function of one line of text.
    """

    dataset: Any
    strategy: Any
    chief: bool
    until_epoch: int | None
    tested_on: str
    callbacks: tuple
    report: Callable[[str], None]


class PhaseRun:
    """One phase, from its config to a tested folder.

    Args:
        config: The phase's own `ConfigDict`, of `phase_config`.
        phase: A `Phase`.
        folder: Path of the phase's folder.
        session: A `Session`.
    """

    def __init__(self, config, phase: Phase, folder: pathlib.Path, session: Session):
        self.config = config
        self.phase = phase
        self.folder = folder
        self.session = session
        train, dataset = config.train, session.dataset
        self.steps_per_epoch = train.steps_per_epoch or dataset.steps_per_epoch(
            train.batch_size
        )
        self.epochs = last_epoch(config, session.until_epoch)

    def run(self):
        """Trains and tests the phase; returns 0 or an exit status."""
        session = self.session
        weights = find_weights(self.config, self.phase, self.folder)
        if session.chief:
            known = describe_data(session.dataset, self.config.data.datapath)
            write_json(self.folder / "dataset.json", known)
        network, trainer, decisive = self._build(weights)
        policies = build_policies(self.config)
        reports.introduce(
            self.config,
            self.phase,
            session.dataset,
            network,
            session.strategy.num_replicas_in_sync,
            session.report,
        )
        stop = StopOnSignal(functools.partial(any_worker, session.strategy))
        checkpointing = self._checkpointing(decisive)
        self._initialize(trainer)
        self._train(trainer, self._callbacks(policies, decisive, stop, checkpointing))
        if stop.received is not None:
            session.report(
                f"stopped at step {trainer.step} and saved in "
                f"{checkpointing.folder / 'last'}; the same command goes on."
            )
            return 128 + stop.received
        if session.chief:
            self._test(network, trainer, policies, checkpointing)
        return 0

    def _build(self, weights):
        """The network, its trainer, and the callbacks that decide something."""
        config, train = self.config, self.config.train
        # Whatever the process did before, other phases above all.
        keras.utils.set_random_seed(phase_seed(config.runtime.seed, self.phase))
        dataset = self.session.dataset
        with self.session.strategy.scope():
            network = build_network(config, dataset.image_shape, dataset.num_classes)
            network.look_into(dataset.windows)
            trainer = build_trainer(config, self.phase, network)
            optimizer, decisive = make_optimizer(
                train.learning_rate,
                plain(train.schedule),
                # Schedules are those of all epochs, wherever this call ends.
                total_steps=train.epochs * self.steps_per_epoch,
                steps_per_epoch=self.steps_per_epoch,
            )
            optimizer.build(trainer.trainable_variables)
            trainer.compile(optimizer=optimizer, jit_compile=False)
            if weights is not None:
                take_over(network, weights, self.phase, config)
                self.session.report(
                    f"{self.phase.name} starts from the weights of {weights}"
                )
        if train.early_stopping_patience:
            decisive.append(
                EarlyStopping(train.monitor, patience=train.early_stopping_patience)
            )
        return network, trainer, decisive

    def _checkpointing(self, decisive):
        train = self.config.train
        return Checkpointing(
            self.folder / "checkpoints",
            train.checkpoint_every_steps,
            self.steps_per_epoch,
            train.monitor,
            replayed=decisive,
            writes=self.session.chief,
            report=self.session.report,
        )

    def _initialize(self, trainer):
        """Initialises what depends on data, where the phase begins."""
        if (self.folder / "checkpoints" / "last").exists():
            return
        seed = self.config.runtime.seed
        batches = self.session.dataset.train_batches(
            self.config.train.batch_size, seed=seed, start_step=0, num_steps=1
        )
        images, *_ = next(iter(batches))
        trainer.attention.initialize(
            images,
            trainer.policy,
            self.config.train.num_glimpses,
            random.make_seed(seed),
        )

    def _callbacks(self, policies, decisive, stop, checkpointing):
        """All callbacks: what one adds to the logs is seen by those after it."""
        config, session, folder = self.config, self.session, self.folder
        watched = policies.get(self.phase.monitored_policy, policies["learned"])
        figures = folder if session.chief else None
        monitor = make_monitor(
            config, session.dataset, watched, figures, session.report
        )
        before = [*session.callbacks, monitor, *decisive]
        if not session.chief:
            return [*before, stop, checkpointing]
        return [
            *before,
            keras.callbacks.TensorBoard(folder / "tensorboard", write_graph=False),
            ProgressBar(),
            stop,
            checkpointing,
            MetricsFile(folder / "metrics.csv", checkpointing),
        ]

    def _train(self, trainer, callbacks):
        config, dataset = self.config, self.session.dataset
        loop = Loop(
            trainer,
            self.session.strategy,
            steps_per_execution=config.train.steps_per_execution,
            pause_every=config.train.checkpoint_every_steps,
        )
        loop.train(
            functools.partial(
                dataset.train_batches,
                config.train.batch_size,
                seed=config.runtime.seed,
            ),
            epochs=self.epochs,
            steps_per_epoch=self.steps_per_epoch,
            callbacks=callbacks,
            validation=functools.partial(
                dataset.eval_batches,
                "validation",
                config.eval.batch_size,
                config.eval.max_examples,
            ),
        )

    def _test(self, network, trainer, policies, checkpointing):
        """Tests the best weights, and writes the results."""
        best, _ = find_checkpoint(checkpointing.folder / "best", self.session.report)
        if best is None:  # Training wrote one; somebody deleted it.
            raise InputError(
                f"{checkpointing.folder} has no best checkpoint: restore it from a "
                "backup, or start anew with --overwrite."
            )
        load_weights(network, best)
        session, history = self.session, checkpointing.history
        tested = final_test(
            self.config,
            trainer.attention,
            policies,
            session.dataset,
            self.folder,
            session.tested_on,
        )
        rates = [row["images_per_second"] for row in history]
        last = read_state(checkpointing.folder / "last")
        results = {
            **tested,
            "train_seconds": last["seconds"],
            "images_per_second": float(np.median(rates)),
            "best": checkpointing.best,
            "steps": trainer.step,
            "epochs": len(history),
            "until_epoch": self.epochs,
            "parameters": network.count_params(),
            "command": describe_command(),
            "environment": describe_environment(),
        }
        write_json(self.folder / "results.json", results)
