"""Probabilistic hard attention: three phases, the last two with a partial VAE."""

from ram_tf import models, objectives, policies
from ram_tf.families.family import Family
from ram_tf.families.phase import Phase


def _plan_information_gain(feature_noise=False):
    """The policy to train with: one sample, and always a random first cell."""
    return policies.PlannedAhead(
        policies.InformationGain(num_samples=1, feature_noise=feature_noise)
    )


def _one_sample(feature_noise=False, first_location=None):
    return policies.InformationGain(1, feature_noise, first_location)


# The options of these policies are the phases' choice, not the config's.
def _random_places():
    return policies.RandomPolicy()


def _random_cells():
    return policies.RandomCells()


def _any_cells():
    return policies.RandomCells(repeat=True)


POLICIES = {
    "one_sample": _one_sample,
    "oracle": policies.Oracle,
    "random": _random_cells,
    "center": policies.CentralCells,
}


PHASES = (
    Phase(
        name="first",
        policy=_random_places,
        objective=objectives.classification_objective,
        weights={"classification": 1.0},
        frozen=("partial_vae",),
        evaluation_policy=_random_cells,
        policies=POLICIES,
    ),
    Phase(
        name="second",
        policy=_any_cells,
        objective=objectives.evidence_objective,
        weights={"kl": 1.0, "reconstruction": 1.0},
        frozen=("patch_encoder", "location_mixer", "core", "classifier"),
        starts_from="first",
        reading={"imagine": True},
        evaluation_policy=policies.InformationGain,
        policies=POLICIES,
        monitored_policy="one_sample",
    ),
    Phase(
        name="third",
        policy=_plan_information_gain,
        objective=objectives.joint_objective,
        weights={"classification": 16.0, "kl": 1.0, "reconstruction": 1.0},
        starts_from="second",
        reading={"imagine": True},
        evaluation_policy=policies.InformationGain,
        policies=POLICIES,
        monitored_policy="one_sample",
    ),
)


# The published lines give every phase a `--ccebal`, which only the third follows.
FIXED = {
    "first": {"weights.classification": 1.0},
    "second": {"weights.classification": 0.0},
}

FAMILY = Family(models.PHAM, PHASES, fixed=FIXED)
