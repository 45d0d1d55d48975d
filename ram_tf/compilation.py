"""What XLA has compiled is kept between processes.

Imports nothing that imports TensorFlow, which reads these settings when it is imported.
"""

import contextlib
import hashlib
import importlib.util
import os
import pathlib
import platform

from ram_tf.files import cache_folder

MOST_BYTES = 2 * 10**9
_DIRECTORY = "--tf_xla_persistent_cache_directory"
_DEVICES = "--tf_xla_persistent_cache_device_types"


def keep_compiled():
    """Lets XLA keep its programs in the user's cache, and take them from there.

    Programs of another processor, driver or TensorFlow are others'. A user's own
    directory in `TF_XLA_FLAGS` stays; an empty one keeps nothing. What was made first
    makes room where all programs are larger than `MOST_BYTES`.

    Returns:
        The folder, a `pathlib.Path`, or `None` where nothing is kept.
    """
    flags = os.environ.get("TF_XLA_FLAGS", "")
    if _DIRECTORY in flags:
        return None
    folder = cache_folder() / "compiled" / _machine()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(folder.parent)
    except OSError:
        return None
    if not os.access(folder, os.W_OK) or any(map(str.isspace, str(folder))):
        return None  # The flags are divided at spaces.
    devices = f"{_DEVICES}=CPU,GPU,XLA_CPU_JIT,XLA_GPU_JIT"
    os.environ["TF_XLA_FLAGS"] = f"{flags} {_DIRECTORY}={folder} {devices}".strip()
    return folder


def _machine():
    """Twelve characters that another machine or TensorFlow would change."""
    library = importlib.util.find_spec("tensorflow").origin
    known = [library, str(os.stat(library).st_mtime_ns), platform.machine()]
    known.append(os.environ.get("XLA_FLAGS", ""))
    for path in (
        pathlib.Path("/proc/driver/nvidia/version"),
        *sorted(pathlib.Path("/proc/driver/nvidia/gpus").glob("*/information")),
    ):
        with contextlib.suppress(OSError):
            known.append(path.read_text())
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        marks = ("model name", "flags", "Features")
        known += sorted({line for line in lines if line.startswith(marks)})
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:12]


def _make_room(folder):
    """Removes the oldest programs until the rest is no larger than it may be."""
    files = []
    for path in folder.glob("*/*.pb"):
        with contextlib.suppress(OSError):
            stat = path.stat()
            files.append((stat.st_mtime, stat.st_size, path))
    held = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if held <= MOST_BYTES:
            break
        path.unlink(missing_ok=True)
        held -= size
