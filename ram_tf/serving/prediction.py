"""Classifies image files, however many, with a trained workdir."""

import csv
import fcntl
import io
import json
import os
import pathlib
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ram_tf import data
from ram_tf.errors import InputError, warn
from ram_tf.evaluation import reports, words
from ram_tf.experiment.restore import read_image, restore
from ram_tf.files import whole_file
from ram_tf.models import DynamicLooker, Looker
from ram_tf.training.checkpointing import read_state

_COLUMNS = ("file", "class", "probability", "locations")


# The options of a command, by name.
def predict(
    workdir,
    paths,
    *,
    output=None,
    shard=(0, 1),
    policy=None,
    num_glimpses=None,
    stop=None,
    batch_size=64,
    xla=False,
    checkpoint="best",
    report=print,
):
    """Classifies image files.

    Memory holds two batches of images and the names of all files. A file's row depends
    on the file and on the settings alone, whatever the batch and the shard. What is
    done is kept in `<output>.partial` until all is: the same call goes on after it.

    Args:
        workdir: Folder of a run.
        paths: Image files and folders of them.
        output: Path of a CSV file, or `None` for the terminal.
        shard: (index, count). One of `count` parts of the files, by a hash of their
            paths; `index` from 0. Its output is `<stem>-<index>-of-<count><suffix>`.
        policy: Name of the policy that looks, or `None`, the one the family shows.
        num_glimpses: Int or `None`, as trained.
        stop: Number, `NAME:NUMBER` or `None`. Stop looking at an image once it is sure
            enough, see `AttentionModel.stop_number`.
        batch_size: Int, images at a time.
        xla: Boolean. Compile with XLA: some seconds, which many files win back. What a
            policy draws is other numbers then.
        checkpoint: See `experiment.restore`.
        report: Function of one line of text.

    Raises:
        InputError: If a file is no image, or what is done was done with other settings.
    """
    index, count = shard
    # By name and not by place, so that a file that comes or goes moves no other one.
    files = [
        found.path
        for found in data.find_images(paths, warn if output is None else report)
        if zlib.crc32(os.fsencode(found.name)) % count == index
    ]
    trained = restore(workdir, checkpoint)
    chosen = trained.pick(policy)
    steps = num_glimpses or trained.config.train.num_glimpses
    epsilon = None if stop is None else trained.network.stop_number(stop)
    if epsilon is None:
        whole = Looker(trained.network, chosen, steps, xla=xla, xla_sense=False)
        looker = whole.compile(whole.classify)
    else:
        rule = trained.network.make_stop_rule(epsilon)
        looker = DynamicLooker(trained.network, chosen, steps, rule, xla=xla)
    if output is None:
        rows = csv.writer(_Terminal(report), lineterminator="\n")
        for answers in _answers(files, batch_size, trained, looker):
            rows.writerows(answers)
        return
    if count > 1:
        path = pathlib.Path(output)
        part = f"{path.stem}-{index:05d}-of-{count:05d}{path.suffix}"
        output = path.with_name(part)
    settings = {
        "weights": read_state(trained.checkpoint)["digests"],
        "policy": repr(chosen),
        "num_glimpses": steps,
        "stop_epsilon": epsilon,
        "xla": xla,
        "shard": [index, count],
    }
    with _Predictions(output, settings, files) as predictions:
        if predictions.done:
            report(f"going on after {predictions.done} images")
        progress = reports.progress_bar(len(files), "image")
        progress.add(predictions.done)
        left = files[predictions.done :]
        for answers in _answers(left, batch_size, trained, looker):
            predictions.write(answers)
            progress.add(len(answers))
    report(f"wrote {output}: {len(files)} images")


def _answers(files, batch_size, trained, looker):
    """Yields the rows of one batch after the other; decodes the next one meanwhile."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:

        def decode(first):
            batch = files[first : first + batch_size]
            return batch, [pool.submit(read_image, path, trained) for path in batch]

        ahead = decode(0)
        for first in range(0, len(files), batch_size):
            (batch, pixels), ahead = ahead, decode(first + batch_size)
            try:
                pixels = np.stack([each.result() for each in pixels])
            except InputError:
                pool.shutdown(cancel_futures=True)
                raise
            found = looker(pixels)
            found = {name: np.asarray(value) for name, value in found.items()}
            yield [
                (path, *_describe(probabilities, places, trained.class_names))
                for path, probabilities, places in zip(
                    batch, found["probabilities"], found["locations"]
                )
            ]


def _describe(probabilities, places, class_names):
    best = int(probabilities.argmax())
    looked = words.format_places(places)
    return class_names[best], f"{probabilities[best]:.4f}", looked


class _Predictions:
    """A CSV file that grows aside, batch by batch, and is there when it is whole.

    Attributes:
        done: Int. Files that are done, by an earlier call or by this one.

    Args:
        path: Path of the file.
        settings: JSON-serialisable. What every row depends on.
        files: Paths of all files, in order.

    Raises:
        InputError: If another process is at it, or what it holds is of other files or
            was made with other settings.
    """

    def __init__(self, path, settings, files):
        self.path = pathlib.Path(path)
        self.partial = self.path.with_name(f"{self.path.name}.partial")
        self.header = json.dumps(settings) + "\n"
        self.files = files
        self.done = 0

    def __enter__(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.partial, "a+b")
        try:
            self._lock()
            self._resume()
        except BaseException:
            self._file.close()
            raise
        return self

    def write(self, rows):
        """Adds rows; they outlive this process."""
        text = io.StringIO()
        if not self.done:
            text.write(self.header)
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._file.write(os.fsencode(text.getvalue()))
        self._file.flush()
        self.done += len(rows)

    def __exit__(self, kind, value, traceback):
        with self._file:
            if kind is not None:
                return
            if self.done != len(self.files):
                raise ValueError(f"{self.done} rows for {len(self.files)} files.")
            self._file.seek(0)
            self._file.readline()  # The settings.
            with whole_file(self.path) as file:
                csv.writer(file, lineterminator="\n").writerow(_COLUMNS)
                for line in self._file:
                    file.write(os.fsdecode(line))
            self.partial.unlink()

    def _lock(self):
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"another process writes {self.partial}: wait for it, or use another "
                "--output."
            ) from error

    def _resume(self):
        """Counts the whole rows that are there and cuts off what follows them."""
        self._file.seek(0)
        header = self._file.readline()
        end = len(header)

        def whole_lines():
            nonlocal end
            for line in self._file:
                if not line.endswith(b"\n"):
                    return  # Cut off.
                end += len(line)
                yield os.fsdecode(line)

        for row in csv.reader(whole_lines()):
            known = self.done < len(self.files) and row[0] == self.files[self.done]
            if not known or header != os.fsencode(self.header):
                raise InputError(
                    f"{self.partial} was begun with other files, weights or options: "
                    "delete it, or use another --output."
                )
            self.done += 1
        self._file.truncate(end if self.done else 0)


class _Terminal:
    """A file whose lines are reported, below a header when there are any."""

    def __init__(self, report):
        self.report = report
        self.fresh = True

    def write(self, text):
        if self.fresh:
            self.report(",".join(_COLUMNS))
            self.fresh = False
        self.report(text.rstrip("\n"))
