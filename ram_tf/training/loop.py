"""The loop around the step: ours, because Keras 3's `fit` cannot run under every
`tf.distribute` strategy and cannot resume in the middle of an epoch. It drives ordinary
Keras callbacks.
"""

import functools
import time

import keras
import tensorflow as tf

from ram_tf.data import Share
from ram_tf.errors import InputError
from ram_tf.training.strategy import check_alike


class NonFiniteLoss(InputError):
    """The loss became NaN or infinite, or the gradient did."""


class Loop:
    """Runs a trainer's steps under a strategy.

    Args:
        trainer: A compiled `Trainer`.
        strategy: A `tf.distribute` strategy.
        steps_per_execution: Int. Steps in one call of the compiled graph.
        pause_every: Int or `None`. Calls also end at multiples of this many steps, so
            that a callback can act there.
    """

    def __init__(self, trainer, strategy, steps_per_execution=1, pause_every=None):
        self.trainer = trainer
        self.strategy = strategy
        self.steps_per_execution = steps_per_execution
        self.pause_every = pause_every
        self._traced = False
        # Steps are Keras code: unrolled, without Python control flow on tensors, and
        # what is refused while they are traced comes out as it was raised.
        self._execute = tf.function(self._train_steps, autograph=False)
        self._test = tf.function(self._test_batch, autograph=False)

    def train(self, batches, *, epochs, steps_per_epoch, callbacks, validation=None):
        """Trains until `epochs` are done or `trainer.stop_training` is set.

        Callbacks may move the start: after `on_train_begin`, training goes on from the
        trainer's step counter, and metrics are kept if that is inside an epoch.

        Args:
            batches: `(start_step=, num_steps=, share=) -> tf.data.Dataset`, a
                `data.Share` of the global batches of some steps.
            epochs: Int.
            steps_per_epoch: Int.
            callbacks: List of Keras callbacks.
            validation: `(share=) -> tf.data.Dataset` or `None`, read after each epoch.
        """
        trainer = self.trainer
        trainer.stop_training = False
        callbacks = keras.callbacks.CallbackList(
            callbacks,
            model=trainer,
            verbose=1,
            epochs=epochs,
            steps=steps_per_epoch,
        )
        try:
            self._train(batches, epochs, steps_per_epoch, callbacks, validation)
        finally:
            callbacks.on_train_end()

    def _train(self, batches, epochs, steps_per_epoch, callbacks, validation):
        trainer = self.trainer
        callbacks.on_train_begin()
        step, last = trainer.step, epochs * steps_per_epoch
        check_alike(self.strategy, step)
        iterator = None
        if step < last:
            ahead = functools.partial(batches, start_step=step, num_steps=last - step)
            iterator = self._distribute(ahead)
        while step < last and not trainer.stop_training:
            epoch = step // steps_per_epoch
            if step % steps_per_epoch == 0:
                trainer.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            step, logs = self._train_epoch(iterator, step, steps_per_epoch, callbacks)
            if step % steps_per_epoch:
                break  # Stopped inside the epoch.
            if validation is not None:
                results = self.evaluate(validation)
                logs |= {f"val_{name}": value for name, value in results.items()}
            callbacks.on_epoch_end(epoch, logs)

    def evaluate(self, batches):
        """Returns the trainer's metrics over batches of `(images, labels, weights)`.

        `batches(share=)` makes a `data.Share` of them. Resets the trainer's metrics
        before and after.
        """
        self.trainer.reset_metrics()
        for index, batch in enumerate(self._distribute(batches)):
            with self.trainer.attention.naming_failures():
                self._test(batch, tf.constant(index))
        results = _to_floats(self.trainer.get_metrics_result())
        self.trainer.reset_metrics()
        for name in self.trainer.phase.training_only:
            del results[name]
        return results

    def _train_epoch(self, iterator, step, steps_per_epoch, callbacks):
        end = (step // steps_per_epoch + 1) * steps_per_epoch
        images, started = 0, time.perf_counter()
        logs = {}
        while step < end:
            # The first call traces and compiles: one step, so that it shows up early,
            # and not counted in the rate.
            steps = min(self.steps_per_execution if self._traced else 1, end - step)
            if self.pause_every:
                steps = min(steps, self.pause_every - step % self.pause_every)
            batch = step % steps_per_epoch
            callbacks.on_train_batch_begin(batch)
            with self.trainer.attention.naming_failures():
                first_bad, new_images = self._execute(iterator, tf.constant(steps))
            _check_finite(step, first_bad)
            step += steps
            logs = _to_floats(self.trainer.get_metrics_result())
            if self._traced:
                images += int(new_images) * self.strategy.num_replicas_in_sync
            else:
                self._traced, started = True, time.perf_counter()
            seconds = time.perf_counter() - started
            logs["images_per_second"] = images / max(seconds, 1e-9)
            callbacks.on_train_batch_end(batch + steps - 1, logs)
            if self.trainer.stop_training:
                break
        return step, logs

    def _train_steps(self, iterator, num_steps):
        def step(index, first_bad, images):
            batch = next(iterator)
            checked = self.strategy.run(self._checked_step, (batch,))
            # Over all replicas, so that every worker stops at the same step.
            checked = self.strategy.reduce("SUM", checked, axis=None)
            bad = (first_bad < 0) & ~tf.math.is_finite(checked)
            first_bad = tf.where(bad, index, first_bad)
            local = self.strategy.experimental_local_results(batch[0])[0]
            return index + 1, first_bad, images + tf.shape(local)[0]

        _, first_bad, images = tf.while_loop(
            lambda index, *_: index < num_steps,
            step,
            # The first bad step is that of the loss and that of the gradient.
            (tf.constant(0), tf.fill([2], -1), tf.constant(0)),
        )
        return first_bad, images

    def _checked_step(self, batch):
        logs, norm = self.trainer.checked_step(batch)
        return tf.stack([logs["loss"], norm])

    def _test_batch(self, batch, index):
        self.strategy.run(self.trainer.test_step, (batch, index))

    def _distribute(self, batches):
        """Iterates over batches; a process makes the parts of its own replicas."""
        total = self.strategy.num_replicas_in_sync

        def make(context):
            count = total // context.num_input_pipelines
            first = context.input_pipeline_id * count
            return batches(share=Share(first, count, total))

        return iter(self.strategy.distribute_datasets_from_function(make))


def _check_finite(step, first_bad):
    """Refuses what a call of the graph found that began after `step` steps."""
    found = zip(first_bad.numpy(), ("loss", "gradient"))
    found = [(int(index), what) for index, what in found if index >= 0]
    if found:
        index, what = min(found, key=lambda each: each[0])  # The loss, if both are.
        raise NonFiniteLoss(
            f"the {what} was not finite at step {step + index + 1}: training stopped "
            "and the last checkpoint was kept; lower train.learning_rate or "
            "train.clip_norm, or check the data."
        )


def _to_floats(logs):
    return {name: float(value) for name, value in logs.items()}
