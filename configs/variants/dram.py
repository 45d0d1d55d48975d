"""What DRAM's coarse view is worth, on the digits.

`blind` has a context of one pixel, the mean of the image, which says nothing of where
the digit is; `random` and `center` learn nowhere to look. Not run yet.
"""

BASE = "configs/dram_digits.py"

# What never learned where to look has no mean to go by.
CONTROL = {"eval.policies": ("learned", "random", "center")}

VARIANTS = {
    "as_it_is": {},
    "blind": {"model.overview_size": 1},
    "coarser": {"model.overview_size": 10},
    "rectifiers": {"model.lower.kind": "rectifier", "model.upper.kind": "rectifier"},
    "four_samples": {"train.mc_samples": 4, "train.batch_size": 32},
    "random": {"policy.kind": "random", **CONTROL},
    "center": {"policy.kind": "center", **CONTROL},
}
