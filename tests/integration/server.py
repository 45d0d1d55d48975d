"""Runs scripts in forked processes, so that TensorFlow is imported only once.

Reads a line of JSON for each command, `[script, arguments]`, and answers with a line,
`[status, out, err]`. Forking is safe because nothing here has touched a
device yet; each command is a process of its own.
"""

import json
import os
import pathlib
import runpy
import sys
import tempfile
import warnings

from ram_tf import benchmark, experiment, trained  # noqa: F401 - what takes long

warnings.filterwarnings("ignore", category=DeprecationWarning)  # of fork with threads


def execute(script, arguments):
    """Becomes the script."""
    sys.argv[:] = [script, *arguments]
    sys.path[0] = str(pathlib.Path(script).parent)
    runpy.run_path(script, run_name="__main__")


def run(script, arguments):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            status = 1
            try:
                execute(script, arguments)
                status = 0
            except SystemExit as end:
                status = end.code or 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        return (
            os.waitstatus_to_exitcode(status),
            out.read().decode(),
            err.read().decode(),
        )


for line in sys.stdin:
    print(json.dumps(run(*json.loads(line))), flush=True)
