"""Files that are there whole or not at all."""

import contextlib
import json
import os
import pathlib


@contextlib.contextmanager
def whole_file(path):
    """Opens a text file that is written aside: it replaces `path` when it is whole."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.writing")
    try:
        # As names of files are, which need not be text.
        with open(
            aside, "w", newline="", encoding="utf-8", errors="surrogateescape"
        ) as file:
            yield file
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path, content):
    """Writes a JSON file."""
    with whole_file(path) as file:
        json.dump(content, file, indent=1)
