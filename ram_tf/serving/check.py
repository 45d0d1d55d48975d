"""Answers requests with a SavedModel and compares, with TensorFlow alone.

Run as a script, by `isolated.run`, and makes sure there that `ram_tf`, Keras and
TensorFlow Probability cannot be imported:

  check.py VERSION REQUESTS.npz
"""

import sys

import numpy as np

TOLERANCE = 1e-4
_ABSENT = ("ram_tf", "keras", "tf_keras", "tensorflow_probability")


def save_requests(path, examples, answers):
    """Writes requests and the answers to them.

    Args:
        path: Path of the `.npz` file.
        examples: Signature name -> list of dictionaries of arrays.
        answers: The same, of what was answered.
    """
    arrays = {
        f"{name}/{index}/{kind}/{key}": value
        for kind, requests in (("input", examples), ("output", answers))
        for name, batches in requests.items()
        for index, arrays in enumerate(batches)
        for key, value in arrays.items()
    }
    np.savez(path, **arrays)


def load_requests(path):
    """Reads them back: (signature, inputs, outputs) of each request."""
    requests = {}
    with np.load(path) as file:
        for key in file.files:
            name, index, kind, tensor = key.split("/")
            request = requests.setdefault((name, index), {"input": {}, "output": {}})
            request[kind][tensor] = file[key]
    return [(name, r["input"], r["output"]) for (name, _), r in requests.items()]


def differences(expected, got):
    """Yields one line for each output that is not as expected."""
    if expected.keys() != got.keys():
        yield f"outputs {sorted(got)}, expected {sorted(expected)}"
        return
    for key, value in expected.items():
        if value.dtype.kind == "f":
            same = value.shape == got[key].shape and np.allclose(
                value, got[key], rtol=TOLERANCE, atol=TOLERANCE
            )
        else:
            same = np.array_equal(value, got[key])
        if not same:
            yield f"{key} differs"


def main(version, requests):
    """Answers the requests; exits with a line about the first that differs."""
    for name in _ABSENT:
        sys.modules[name] = None
    import tensorflow as tf

    model = tf.saved_model.load(version)
    for name, inputs, outputs in load_requests(requests):
        function = model.signatures[name]
        _, specs = function.structured_input_signature
        answered = function(
            **{key: tf.constant(inputs[key], specs[key].dtype) for key in specs}
        )
        got = {key: value.numpy() for key, value in answered.items()}
        for line in differences(outputs, got):
            sys.exit(f"{name}: {line}")


if __name__ == "__main__":
    main(*sys.argv[1:])
