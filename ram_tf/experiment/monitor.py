"""Watches where a policy looks as training goes."""

import pathlib

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ram_tf import random
from ram_tf.errors import only_warned
from ram_tf.evaluation import movement
from ram_tf.models.looker import Looker


class PolicyMonitor(keras.callbacks.Callback):
    """Watches a policy after each epoch: statistics, and a picture.

    Adds to the logs `spread`, `coverage` and `revisits`; the shares of the glimpses
    after the first that are `blank`, `seen_before` and `on_edge`; and what each glimpse
    adds to the log-probability of the true class, `likelihood_gain_1` and so on. Warns
    once when the policy looks at the same places in every image, and once after the
    last epoch when too many glimpses tell little. Draws the first images.

    Args:
        policy: Where to look.
        images: Array of validation images, some hundreds.
        labels: Int array of their labels.
        class_names: Sequence of strings.
        folder: Where pictures go, as `epoch_0001.png`; `None` draws none.
        background: Float in [0, 1], what is empty in an image, or `None`.
        every_epochs: Int. Pictures are drawn every so many epochs and after the last.
        tensorboard: Folder of the event files, or `None`.
        num_pictures: Int. Images in a picture.
        report: Function of one line of text.
    """

    def __init__(
        self,
        policy,
        images,
        labels,
        class_names,
        folder,
        background=None,
        every_epochs=1,
        tensorboard=None,
        num_pictures=4,
        report=print,
    ):
        super().__init__()
        self.policy = policy
        self.images = np.asarray(images)
        self.labels = np.asarray(labels)
        self.class_names = class_names
        self.folder = folder and pathlib.Path(folder)
        self.background = background
        self.every_epochs = every_epochs
        self.tensorboard = tensorboard
        self.num_pictures = num_pictures
        self.report = report
        self.warned = False

    def on_train_begin(self, logs=None):
        trainer = self.model
        looker = Looker(
            trainer.attention,
            self.policy,
            trainer.num_glimpses,
            xla=False,
            xla_sense=False,
        )

        @looker.compile
        def look(images):
            looked = looker.look(looker.prepare(images), random.make_seed(0))
            network, places = looker.network, looked.locations
            boxes = network.glimpse_boxes(places, network.image_sizes(images))
            extremes = network.finest_extremes(images, places)
            idle = movement.idle_glimpses(extremes, places, boxes, self.background)
            return looked.locations, boxes, idle, ops.log_softmax(looked.logits)

        self._look = look

    def on_epoch_end(self, epoch, logs=None):
        last = epoch + 1 == self.params["epochs"]
        locations, boxes, idle, beliefs = self._look(self.images)
        locations = np.asarray(locations)
        statistics = movement.policy_statistics(
            locations,
            np.asarray(boxes),
            np.reshape(self.model.attention.image_sizes(self.images), (-1, 2)),
        )
        # Of what several threads add up, the last digits say nothing.
        logs.update({name: round(value, 4) for name, value in statistics.items()})
        shares = {
            name: movement.later_share(np.mean(values, axis=0))
            for name, values in idle.items()
        }
        logs.update(shares)
        rows = np.arange(len(self.labels))
        gains = movement.likelihood_gains(
            np.asarray(beliefs)[rows, :, self.labels], beliefs.shape[-1]
        )
        for number, gain in enumerate(gains.mean(axis=0), 1):
            logs[f"likelihood_gain_{number}"] = round(float(gain), 4)
        collapsed = statistics["spread"] < movement.COLLAPSED_SPREAD
        decides = locations.shape[1] > 1 and not self.policy.blind
        if collapsed and decides and not self.warned and epoch > 0:
            self.warned = True
            self.report(
                f"warning: after epoch {epoch + 1} the policy looks at the same places "
                f"in every image (spread {statistics['spread']:.3f} of 2): it has "
                "collapsed, or has not started to learn."
            )
        line = movement.describe_idle(shares) if decides and last else None
        if line:
            self.report(f"warning: after epoch {epoch + 1}, {line}.")
        if self.folder and (last or (epoch + 1) % self.every_epochs == 0):
            with only_warned(f"no picture after epoch {epoch + 1}", self.report):
                self._draw(epoch)

    def _draw(self, epoch):
        # Drawing alone needs matplotlib, which takes long to import.
        from ram_tf.pictures.glimpses import plot_recording
        from ram_tf.pictures.record import record

        chosen = slice(self.num_pictures)
        recording = record(
            self.model.attention,
            self.policy,
            self.images[chosen],
            self.model.num_glimpses,
        )
        path = self.folder / f"epoch_{epoch + 1:04d}.png"
        labels = self.labels[chosen]
        plot_recording(recording, path, self.class_names, labels)
        if self.tensorboard:
            writer = tf.summary.create_file_writer(str(self.tensorboard))
            picture = tf.io.decode_png(path.read_bytes(), channels=3)[None]
            with writer.as_default():
                tag = "information_gain" if "gain" in recording else "glimpses"
                tf.summary.image(tag, picture, step=epoch)
            writer.close()


_MONITORED_IMAGES = 256


def make_monitor(config, dataset, policy, folder, report):
    """Returns the `PolicyMonitor` of a run's first validation images."""
    images, labels = dataset.some("validation", _MONITORED_IMAGES)
    return PolicyMonitor(
        policy,
        images,
        labels,
        dataset.class_names,
        folder and folder / "figures",
        background=dataset.background,
        every_epochs=config.train.picture_every_epochs,
        tensorboard=folder and folder / "tensorboard" / "glimpses",
        report=report,
    )
