"""The published families, in plain sight."""

from ram_tf.errors import InputError
from ram_tf.families import active_ram, dram, fine_grained, mram, pham, ram

FAMILIES = {
    "active_ram": active_ram.FAMILY,
    "dram": dram.FAMILY,
    "fine_grained": fine_grained.FAMILY,
    "mram": mram.FAMILY,
    "pham": pham.FAMILY,
    "ram": ram.FAMILY,
}


def find_family(name):
    """Returns the `Family` of that name.

    Raises:
        InputError: If there is none.
    """
    if name not in FAMILIES:
        raise InputError(
            f"unknown family {name!r}: expected one of {', '.join(sorted(FAMILIES))}."
        )
    return FAMILIES[name]
