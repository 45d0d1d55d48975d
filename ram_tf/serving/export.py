"""Trained models as SavedModels, written aside, reloaded and compared."""

import itertools
import os
import pathlib
import tempfile

from ram_tf import experiment
from ram_tf.errors import InputError
from ram_tf.files import check_renames, expand_path
from ram_tf.serving import check, files, isolated
from ram_tf.serving.served import Served

_PATTERNS = "*?[]\\"


def export(
    workdir,
    output,
    *,
    checkpoint="best",
    mc_samples=None,
    stop=None,
    report=print,
):
    """Writes the next version of a model for TensorFlow Serving.

    It computes in float32, whatever the model was trained in. The version is written
    aside, loaded again in a process that has neither this package nor Keras, compared
    with the model in memory, and only then given its number: a failed export leaves no
    version, and nothing is written outside of `output`.

    Args:
        workdir: Folder of a run.
        output: Folder of the model, `models/NAME`; the version is a folder inside.
        checkpoint: See `experiment.restore`.
        mc_samples: Int or `None`. Sampled sequences of glimpses that are averaged;
            `None` for one of the policy that the family shows.
        stop: Number, `NAME:NUMBER` or `None`. When looking stops, for
            families that know: see `AttentionModel.stop_number`.
        report: Function of one line of text.

    Returns:
        Path of the version's folder.

    Raises:
        InputError: If `output` has a character that TensorFlow takes for a pattern, or
            the written model does not answer as the one in memory.
    """
    output = pathlib.Path(expand_path(output))
    if set(str(output)) & set(_PATTERNS):
        raise InputError(
            f"TensorFlow cannot write to {str(output)!r}: to it, a path with one of "
            f"{' '.join(_PATTERNS)} is a pattern. Choose another --output."
        )
    restored = experiment.restore(workdir, checkpoint, dtype="float32")
    epsilon = None if stop is None else restored.network.stop_number(stop)
    served = Served.from_trained(restored, mc_samples, epsilon)
    output.mkdir(parents=True, exist_ok=True)
    check_renames(output)
    with tempfile.TemporaryDirectory(
        dir=output, prefix=".writing_", ignore_cleanup_errors=True
    ) as aside:
        aside = pathlib.Path(aside)
        version = aside / "version"
        served.write(version)
        examples = served.examples()
        answers = {
            name: [served.answer(name, inputs) for inputs in batches]
            for name, batches in examples.items()
        }
        files.write_extra(
            version,
            class_names=restored.class_names,
            preprocessing=served.preprocessing(),
            model_name=output.resolve().name,
            examples=examples,
        )
        _check(version, examples, answers, aside)
        megabytes = files.megabytes(version)
        path = claim_version(version, output)
    if not served.takes_images:
        report(
            "left out what takes whole images: of those read in windows none can be "
            "sent; start, look and sensor serve what reads them"
        )
    report(
        f"wrote {path}: {megabytes:.1f} MB, signatures "
        f"{', '.join(sorted(examples))}; reloaded without this package and compared"
    )
    for line in files.how_to_serve(output):
        report(line)
    return path


def _check(version, examples, answers, aside):
    """Compares the written model with the one in memory, in a process of its own."""
    requests = aside / "requests.npz"
    check.save_requests(requests, examples, answers)
    done = isolated.run(check.__file__, version, requests)
    if done.returncode:
        said = f"{done.stdout}\n{done.stderr}".strip() or "its check was killed"
        last = said.splitlines()[-1]
        raise InputError(f"the exported model does not answer as it should: {last}")


def claim_version(version, output):
    """Gives a finished version the next free number, whoever else is exporting."""
    taken = [int(path.name) for path in files.versions(output)]
    for number in itertools.count(max(taken, default=0) + 1):
        path = output / str(number)
        try:
            # Fails on a folder that is not empty, so that none is ever replaced.
            os.rename(version, path)
        except OSError:
            if not path.exists():
                raise
        else:
            return path
