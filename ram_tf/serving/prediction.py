"""Classifies image files, however many, with a trained workdir."""

import contextlib
import csv
import io
import json
import os
import pathlib
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from ram_tf import data, locks
from ram_tf.data.windows import UnreadableImage
from ram_tf.errors import InputError, warn
from ram_tf.evaluation import reports, words
from ram_tf.experiment.restore import read_image, restore
from ram_tf.files import whole_file
from ram_tf.models import DynamicLooker, Looker
from ram_tf.processors import num_processors
from ram_tf.serving.large_files import LargeFiles
from ram_tf.training.checkpointing import read_state

_COLUMNS = ("file", "class", "probability", "locations")
_LARGE_COLUMNS = (*_COLUMNS, "pixels", "micrometres")
_SHOWN = 20
_HOW_TO_GO_ON = "--skip_unreadable goes on without such files."


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
    skip_unreadable=False,
    report=print,
):
    """Classifies image files.

    Memory holds two batches of images, the names of all files and, of what is being
    decoded, a bounded number of bytes. A file's row depends on the file and on the
    settings alone, whatever the batch and the shard. What is done is kept in
    `<output>.partial` until all is: the same call goes on after it, also under another
    spelling of the folders. What was noticed about files is said in the end.

    Args:
        workdir: Folder of a run.
        paths: Image files and folders of them.
        output: Path of a CSV file, or `None` for the terminal.
        shard: (index, count). One of `count` parts of the files, by a hash of their
            paths relative to the folders given; `index` from 0. Its output is
            `<stem>-<index>-of-<count><suffix>`.
        policy: Name of the policy that looks, or `None`, the one the family shows.
        num_glimpses: Int or `None`, as trained.
        stop: Number, `NAME:NUMBER` or `None`. Stop looking at an image once it is sure
            enough, see `AttentionModel.stop_number`.
        batch_size: Int, images at a time.
        xla: Boolean. Compile with XLA: some seconds, which many files win back. What a
            policy draws is other numbers then.
        checkpoint: See `experiment.restore`.
        skip_unreadable: Boolean. Go on without files that cannot be read, and list
            them in the end and in `<stem>.skipped<suffix>`.
        report: Function of one line of text.

    Returns:
        How many files were skipped.

    Raises:
        InputError: If a file is no image, or what is done was done with other settings.
    """
    index, count = shard
    left_out = []
    trained = restore(workdir, checkpoint)
    large = None in trained.image_shape
    kind = {"why_not": data.why_not_large} if large else {}
    # By name and not by place, so that a file that comes or goes moves no other one.
    files = [
        found
        for found in data.find_images(paths, left_out.append, **kind)
        if zlib.crc32(os.fsencode(found.name)) % count == index
    ]
    notes = data.Notes()
    make = _LargeReader if large else _Reader
    reader = make(trained, batch_size, skip_unreadable, notes)
    chosen = trained.pick(policy)
    steps = num_glimpses or trained.config.train.num_glimpses
    epsilon = None if stop is None else trained.network.stop_number(stop)
    if epsilon is None:
        whole = Looker(trained.network, chosen, steps, xla=xla, xla_sense=False)
        looker = whole.compile(whole.classify)
    else:
        rule = trained.network.make_stop_rule(epsilon)
        looker = DynamicLooker(trained.network, chosen, steps, rule, xla=xla)
    for line in left_out:  # Once nothing is refused any more.
        (warn if output is None else report)(line)
    if output is None:
        skipped = []
        terminal = _Terminal(report, reader.columns)
        rows = csv.writer(terminal, lineterminator="\n")
        for answers in _answers(files, reader, looker):
            rows.writerows((row.path, *row.answer) for row in answers if row.answer)
            skipped += [row.reason for row in answers if not row.answer]
        _tell(notes, skipped, len(files))
        reader.finish(warn)
        return len(skipped)
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
    with _Predictions(output, settings, files, reader.columns) as predictions:
        if predictions.done:
            report(f"going on after {predictions.done} images")
        progress = reports.progress_bar(len(files), "image")
        progress.add(predictions.done)
        for answers in _answers(files[predictions.done :], reader, looker):
            predictions.write(answers)
            progress.add(len(answers))
    skipped = predictions.skipped
    report(f"wrote {output}: {len(files) - len(skipped)} images")
    if skipped:
        report(f"wrote {predictions.skipped_path}: {len(skipped)} that were skipped")
    _tell(notes, skipped, len(files))
    reader.finish(report)
    return len(skipped)


def _tell(notes, skipped, count):
    """Warns of what was noticed about files, and of those that were skipped."""
    for line in notes.lines():
        warn(line)
    for reason in skipped[:_SHOWN]:
        warn(f"skipped: {reason}")
    if skipped:
        more = f", the first {_SHOWN} above" if len(skipped) > _SHOWN else ""
        warn(f"{len(skipped)} of {count} files could not be read{more}")


class _Row(NamedTuple):
    """What became of a file: `answer`, or the `reason` why there is none."""

    path: str
    name: str
    num_bytes: int
    answer: tuple = ()
    reason: str = ""


class _Reader:
    """Decodes batches of files by threads, one ahead of the one that is asked for."""

    columns = _COLUMNS

    def __init__(self, trained, batch_size, skip_unreadable, notes):
        self.trained = trained
        self.batch_size = batch_size
        self.skip_unreadable = skip_unreadable
        self.notes = notes

    def batches(self, files):
        """Yields lists of `_Row` without answers, with their pixels in one array.

        Those of a file that is skipped are black.
        """
        with ThreadPoolExecutor(num_processors()) as pool:

            def submit(first):
                batch = files[first : first + self.batch_size]
                return [pool.submit(self._read, found) for found in batch]

            ahead = submit(0)
            for first in range(0, len(files), self.batch_size):
                reading, ahead = ahead, submit(first + self.batch_size)
                try:
                    rows, pixels = zip(*(each.result() for each in reading))
                except InputError:
                    pool.shutdown(cancel_futures=True)
                    raise
                yield rows, np.stack(pixels)

    def answer(self, row, position, probabilities, places, scales):
        """Returns a row with its answer."""
        if row.reason:
            return row
        names = self.trained.class_names
        return row._replace(answer=_describe(probabilities, places, scales, names))

    def finish(self, report):
        """Says nothing more."""

    def _read(self, found):
        num_bytes = _num_bytes(found.path)
        try:
            pixels = read_image(found.path, self.trained, self.notes)
            return _Row(*found, num_bytes), pixels
        except InputError as error:
            reason = str(error)
            if not self.skip_unreadable:
                raise InputError(f"{reason} {_HOW_TO_GO_ON}") from error
        shape = self.trained.image_shape
        return _Row(*found, num_bytes, reason=reason), np.zeros(shape, np.uint8)


class _LargeReader:
    """Opens batches of files that a model looks into."""

    columns = _LARGE_COLUMNS

    def __init__(self, trained, batch_size, skip_unreadable, notes):
        self.trained = trained
        self.batch_size = batch_size
        self.notes = notes
        self.files = LargeFiles(
            trained.network,
            trained.image_shape[-1],
            trained.value_range,
            skip_unreadable,
        )

    def batches(self, files):
        """Yields lists of `_Row` without answers, and their positions."""
        for first in range(0, len(files), self.batch_size):
            batch = files[first : first + self.batch_size]
            rows = [_Row(*found, _num_bytes(found.path)) for found in batch]
            with _told_how_to_go_on():
                positions = self.files.open([found.path for found in batch])
                for found, notes in zip(batch, self.files.notes()):
                    for note in notes:
                        self.notes.add(note, found.name)
                yield rows, positions

    def answer(self, row, position, probabilities, places, scales):
        """Returns a row with its answer, or with the reason why there is none."""
        if position in self.files.unreadable:
            return row._replace(reason=self.files.unreadable[position])
        answer = _describe(probabilities, places, scales, self.trained.class_names)
        return row._replace(
            answer=(*answer, *self.files.describe_places(position, places))
        )

    def finish(self, report):
        """Says how much was read."""
        self.files.close()
        report(f"read {self.files.bytes_read:,} bytes of the images")


@contextlib.contextmanager
def _told_how_to_go_on():
    try:
        yield
    except UnreadableImage as error:
        raise InputError(f"{error} {_HOW_TO_GO_ON}") from error


def _num_bytes(path):
    try:
        return os.path.getsize(path)
    except OSError:
        return -1


def _answers(files, reader, looker):
    """Yields the rows of one batch after the other; decodes the next one meanwhile."""
    for rows, pixels in reader.batches(files):
        with _told_how_to_go_on():
            found = looker(pixels)
        found = {name: np.asarray(value) for name, value in found.items()}
        yield [
            reader.answer(*each)
            for each in zip(
                rows,
                range(len(rows)),
                found["probabilities"],
                found["locations"],
                found.get("scales", [None] * len(rows)),
            )
        ]


def _describe(probabilities, places, scales, class_names):
    best = int(probabilities.argmax())
    looked = words.format_places(places, scales)
    return class_names[best], f"{probabilities[best]:.4f}", looked


class _Predictions:
    """A CSV file that grows aside, batch by batch, and is there when it is whole.

    Aside, files go by their names and sizes, so that their folder may be spelled in
    another way the next time; a row has the reason too, of a file without an answer.

    Attributes:
        done: Int. Files that are done, by an earlier call or by this one.
        skipped: List of the reasons why files have no answer, once it is whole.

    Args:
        path: Path of the file.
        settings: JSON-serialisable. What every row depends on.
        files: `Found` of all files, in order.
        columns: Names of the columns.

    Raises:
        InputError: If another process is at it, or what it holds is of other files or
            was made with other settings.
    """

    def __init__(self, path, settings, files, columns):
        self.columns = columns
        self.path = pathlib.Path(path)
        self.partial = self.path.with_name(f"{self.path.name}.partial")
        self.skipped_path = self.path.with_name(
            f"{self.path.stem}.skipped{self.path.suffix}"
        )
        # Version 2 has the sizes and the reasons.
        self.header = json.dumps({"format": 2, **settings}) + "\n"
        self.files = files
        self.done = 0
        self.skipped = []

    def __enter__(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.partial, "a+b")
        try:
            locks.hold(
                self._file,
                f"another process writes {self.partial}: wait for it, or use another "
                "--output.",
            )
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
        csv.writer(text, lineterminator="\n").writerows(
            (row.name, row.num_bytes, row.reason, *row.answer) for row in rows
        )
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
            rows = csv.reader(map(os.fsdecode, self._file))
            skipped = []
            with whole_file(self.path) as file:
                table = csv.writer(file, lineterminator="\n")
                table.writerow(self.columns)
                for found, (_, _, reason, *answer) in zip(self.files, rows):
                    if reason:
                        skipped.append((found.path, reason))
                    else:
                        table.writerow((found.path, *answer))
            self._write_skipped(skipped)
            self.partial.unlink()

    def _write_skipped(self, skipped):
        self.skipped = [reason for _, reason in skipped]
        if not skipped:  # What an earlier call left is no longer so.
            self.skipped_path.unlink(missing_ok=True)
            return
        with whole_file(self.skipped_path) as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("file", "reason"))
            table.writerows(skipped)

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
            is_same = header == os.fsencode(self.header) and self.done < len(self.files)
            if is_same:
                path, name = self.files[self.done]
                is_same = row[:2] == [name, str(_num_bytes(path))]
            if not is_same:
                raise InputError(
                    f"{self.partial} was begun with other files, weights or options: "
                    "delete it, or use another --output."
                )
            self.done += 1
        self._file.truncate(end if self.done else 0)


class _Terminal:
    """A file whose lines are reported, below a header when there are any."""

    def __init__(self, report, columns):
        self.report = report
        self.columns = columns
        self.fresh = True

    def write(self, text):
        if self.fresh:
            self.report(",".join(self.columns))
            self.fresh = False
        self.report(text.rstrip("\n"))
