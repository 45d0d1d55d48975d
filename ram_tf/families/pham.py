"""Probabilistic hard attention: three phases, the last two with a partial VAE."""

from ram_tf import models, objectives, policies
from ram_tf.families.family import Family
from ram_tf.families.phase import Phase


def _plan_information_gain(feature_noise=False, **unused):
    del unused  # One sample, and always a random first cell.
    return policies.PlannedAhead(
        policies.InformationGain(num_samples=1, feature_noise=feature_noise)
    )


def _one_sample(num_samples=None, **options):
    del num_samples
    return policies.InformationGain(num_samples=1, **options)


def _oracle(first_location=None, **unused):
    del unused
    return policies.Oracle(first_location)


POLICIES = {
    "one_sample": _one_sample,
    "oracle": _oracle,
    "random": lambda **unused: policies.RandomCells(),
    "center": lambda **unused: policies.CentralCells(),
}


PHASES = (
    Phase(
        name="first",
        policy=lambda **unused: policies.RandomPolicy(),
        objective=objectives.classification_objective,
        weights={"classification": 1.0},
        frozen=("partial_vae",),
        evaluated=lambda **unused: policies.RandomCells(),
        policies=POLICIES,
    ),
    Phase(
        name="second",
        policy=lambda **unused: policies.RandomCells(repeat=True),
        objective=objectives.evidence_objective,
        weights={"kl": 1.0, "reconstruction": 1.0},
        frozen=("patch_encoder", "location_mixer", "core", "classifier"),
        starts_from="first",
        reading={"imagine": True},
        evaluated=policies.InformationGain,
        policies=POLICIES,
        watched="one_sample",
    ),
    Phase(
        name="third",
        policy=_plan_information_gain,
        objective=objectives.joint_objective,
        weights={"classification": 16.0, "kl": 1.0, "reconstruction": 1.0},
        starts_from="second",
        reading={"imagine": True},
        evaluated=policies.InformationGain,
        policies=POLICIES,
        watched="one_sample",
    ),
)


# The published lines give every phase a `--ccebal`, which only the third follows.
FIXED = {
    "first": {"weights.classification": 1.0},
    "second": {"weights.classification": 0.0},
}

FAMILY = Family(models.PHAM, PHASES, fixed=FIXED)
