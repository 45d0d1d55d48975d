"""How many processors there are to use."""

import os


def num_processors():
    """Returns the number of processors that this process may use, 1 at least."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # Linux alone lets a process have some of them.
        return os.cpu_count() or 1
