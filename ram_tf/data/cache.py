"""Where prepared and decoded data are kept: never beside the originals.

The folder may be removed at any time; what was in it is made again.
"""

import hashlib
import os


def digest(content):
    """Returns twelve characters that another `content` would change."""
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def state_of(source):
    """Returns a string that changes when a file, or the top of a tree, does."""
    paths = [source, *sorted(source.iterdir())] if source.is_dir() else [source]
    stats = {os.fspath(path.resolve()): path.stat() for path in paths if path.exists()}
    return repr([(path, s.st_size, s.st_mtime_ns) for path, s in stats.items()])


def state_of_files(datapath, files):
    """Returns a string that changes when one of the files does, or its name.

    Args:
        datapath: `pathlib.Path` of the folder, or of the archive, that they are in.
        files: Sequence of `File`.
    """
    in_folder, seen = datapath.is_dir(), hashlib.sha256()
    whole = None if in_folder else datapath.stat()
    for parts in sorted(file.parts for file in files):
        try:
            stat = datapath.joinpath(*parts).stat() if in_folder else whole
            state = stat.st_size, stat.st_mtime_ns
        except OSError:  # A link that leads nowhere: whoever reads it says so.
            state = 0, 0
        name = "/".join(parts).encode("utf-8", "surrogateescape")
        seen.update(b"%d %d %d %b" % (*state, len(name), name))
    return seen.hexdigest()
