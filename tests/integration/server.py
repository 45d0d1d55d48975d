"""Runs scripts in forked processes, so that TensorFlow is imported only once.

Reads a line of JSON for each request and answers with a line: `["start", script,
arguments, environment]` with the process id, `["poll", pid]` with `null` while that
runs, and once with `[status, out, err]`. Forking is safe because nothing here has
touched a device yet; each command is a process of its own.
"""

import json
import os
import pathlib
import runpy
import sys
import tempfile
import warnings

from ram_tf import benchmark, experiment  # noqa: F401 - what takes long

warnings.filterwarnings("ignore", category=DeprecationWarning)  # of fork with threads


def execute(script, arguments):
    """Becomes the script."""
    sys.argv[:] = [script, *arguments]
    sys.path[0] = str(pathlib.Path(script).parent)
    runpy.run_path(script, run_name="__main__")


files = {}  # Process id -> what it writes to.


def start(script, arguments, environment):
    out, err = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115 - in `poll`
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        os.environ.update(environment)
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
    files[child] = out, err
    return child


def poll(child):
    ended, status = os.waitpid(child, os.WNOHANG)
    if not ended:
        return None
    written = []
    for file in files.pop(child):
        with file:
            file.seek(0)
            written.append(file.read().decode())
    return os.waitstatus_to_exitcode(status), *written


for line in sys.stdin:
    name, *arguments = json.loads(line)
    print(json.dumps({"start": start, "poll": poll}[name](*arguments)), flush=True)
