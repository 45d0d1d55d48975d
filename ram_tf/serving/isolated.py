"""Runs a script of this folder by itself, as one who has only the exported model."""

import json
import os
import subprocess
import sys

# Neither the script's folder nor the environment is on the path, which is ours instead:
# TensorFlow may have come from a user's packages or from PYTHONPATH.
_START = (
    "import json, runpy, sys; "
    "sys.path[:], sys.argv[:] = json.loads(sys.argv[1]), sys.argv[2:]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


def run(script, *arguments):
    """Runs it to its end, where it imports from where this process does.

    Args:
        script: Path of the script.
        *arguments: What follows it on the command line.

    Returns:
        The `subprocess.CompletedProcess`, with what it printed as text.
    """
    words = [json.dumps(sys.path), str(script), *map(str, arguments)]
    return subprocess.run(
        [sys.executable, "-I", "-c", _START, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
