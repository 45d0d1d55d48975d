"""The published families: a model, its phases, and the policy to show."""

from ram_tf.families import active_ram, dram, fine_grained, mram, pham, ram
from ram_tf.families.family import Family
from ram_tf.families.known import FAMILIES, find_family
from ram_tf.families.phase import Phase

__all__ = [
    "FAMILIES",
    "Family",
    "Phase",
    "active_ram",
    "dram",
    "find_family",
    "fine_grained",
    "mram",
    "pham",
    "ram",
]
