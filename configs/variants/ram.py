"""What each part of RAM's recipe is worth: one change at a time."""

BASE = "configs/ram_digits.py"

VARIANTS = {
    "as_published": {},
    "open_location_head": {"model.location.detach_inputs": False},
    "open_baseline": {"model.baseline.detach_inputs": False},
    "clipped_mean": {"model.location.bound": "clip"},
    "sigma_0.05": {"model.location.stddev": 0.05},
    "sigma_0.2": {"model.location.stddev": 0.2},
    "reinforce_0.01": {"phases.train.weights.reinforce": 0.01},
    "reinforce_10": {"phases.train.weights.reinforce": 10.0},
    "four_samples": {"train.mc_samples": 4, "train.batch_size": 32},
    "lstm": {"model.core.kind": "lstm"},
}
