"""Where prepared and decoded data are kept: never beside the originals.

The folder may be removed at any time; what was in it is made again.
"""

import hashlib
import os
import pathlib


def cache_folder():
    """The folder of all that this package keeps: `ram_tf` in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(cache).expanduser() / "ram_tf"


def digest(content):
    """Returns twelve characters that another `content` would change."""
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def state_of(source):
    """Returns a string that changes when a file, or the top of a tree, does."""
    paths = [source, *sorted(source.iterdir())] if source.is_dir() else [source]
    stats = {os.fspath(path.resolve()): path.stat() for path in paths if path.exists()}
    return repr([(path, s.st_size, s.st_mtime_ns) for path, s in stats.items()])
