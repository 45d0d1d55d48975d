"""What is to be said about many files, in one line for each kind of thing."""

import copy
import threading

SHOWN = 3


class Notes:
    """Counts what was noticed about files and says it in one line for each kind.

    Threads may add at the same time. So many names are kept as are shown, the first
    ones by name whoever came first, and so 200,000 files cost no more than three.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._kinds = {}
        self._values = {}

    def add(self, kind, name):
        """Notes that something holds for a file.

        Args:
            kind: String, what was noticed, such as "pages after the first left out".
            name: String, the file. Each is added once for a kind.
        """
        with self._lock:
            _count(self._kinds, kind, name)

    def observe(self, largest, full_scale, name):
        """Notes the largest value of a file whose values could be larger.

        A line is due where no file comes near the full scale: a single dark picture
        among others says nothing.

        Args:
            largest: Number, the largest pixel in the file.
            full_scale: Number, the largest that its kind of file can hold.
            name: String, the file.
        """
        with self._lock:
            found = _count(self._values, full_scale, name)
            found["largest"] = max(found.get("largest", 0), largest)

    def lines(self):
        """Returns a list of strings, one for each kind, in the order of their words.

        Each has the count and the first few names.
        """
        with self._lock:
            lines = [
                f"{kind}: {_names(found)}"
                for kind, found in sorted(self._kinds.items())
            ]
            for full_scale, found in sorted(self._values.items()):
                largest = found["largest"]
                # A quarter is two bits that nothing uses.
                if 0 < largest <= full_scale / 4:
                    used = 2 ** int(largest).bit_length() - 1
                    lines.append(
                        f"no value above {largest:g} of {full_scale:g}, so the "
                        f"pictures are dark: {_names(found)}. If the values end at "
                        f"{used:g}, set `data.value_range=(0, {used:g})`"
                    )
        return lines

    def state(self):
        """Returns all that was noticed as what JSON can hold, for `add_state`."""
        with self._lock:
            return copy.deepcopy(
                [[*found.items()] for found in (self._kinds, self._values)]
            )

    def add_state(self, state):
        """Adds what another `Notes` had noticed: its `state`."""
        with self._lock:
            for own, others in zip((self._kinds, self._values), state, strict=True):
                for kind, other in others:
                    found = own.setdefault(kind, {"count": 0, "names": []})
                    found["count"] += other["count"]
                    found["names"] = sorted(found["names"] + other["names"])[:SHOWN]
                    if "largest" in other:
                        found["largest"] = max(
                            found.get("largest", 0), other["largest"]
                        )


def _count(kinds, kind, name):
    found = kinds.setdefault(kind, {"count": 0, "names": []})
    found["count"] += 1
    found["names"] = sorted([*found["names"], name])[:SHOWN]
    return found


def _names(found):
    """Returns "2 files (a.tif, b.tif)", with names that any terminal can print."""
    names = ", ".join(
        name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        for name in found["names"]
    )
    count = found["count"]
    more = ", ..." if count > len(found["names"]) else ""
    return f"{count} file{'s' if count > 1 else ''} ({names}{more})"
