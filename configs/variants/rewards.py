"""What RAM's decisions are rewarded with, and what each choice is worth.

All but the first also classify after every glimpse and scale the location head's mean
by 0.1; they differ in `returns` and in how decisions are credited alone. Figures:
docs/rewards.md.
"""

BASE = "configs/ram_digits.py"

RETURNS = "phases.train.returns"
CREDIT = "phases.train.credit."
SHARED = {
    "phases.train.weights.early_classification": 1.0,
    "model.location.mean_scale": 0.1,
}

VARIANTS = {
    # As published: one reward for all decisions.
    "as_published": {
        "phases.train.weights.early_classification": 0.0,
        "model.location.mean_scale": 1.0,
        RETURNS: "right",
    },
    "right": {**SHARED, RETURNS: "right"},
    "gain": {**SHARED, RETURNS: "gain"},
    "log_gain": {**SHARED, RETURNS: "log_gain"},
    "minus_loss": {**SHARED, RETURNS: "minus_loss"},
    "belief": {**SHARED, RETURNS: "belief"},
    "gain_greedy": {**SHARED, RETURNS: "gain", f"{CREDIT}gamma": 0.0},
    "gain_lambda_0.5": {**SHARED, RETURNS: "gain", f"{CREDIT}gae_lambda": 0.5},
    "gain_of_4_copies": {
        **SHARED,
        RETURNS: "gain",
        f"{CREDIT}leave_one_out": True,
        "train.mc_samples": 4,
        "train.batch_size": 32,
    },
}
