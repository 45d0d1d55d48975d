"""Rules that say when an image needs no other glimpse, each with its own number."""

import dataclasses
from typing import ClassVar

from keras import ops

from ram_tf.errors import InputError
from ram_tf.ops import is_settled


def check_number(epsilon):
    """Raises an `InputError` if no rule can take this number."""
    if not epsilon >= 0:  # Neither is NaN.
        raise InputError(f"stop_epsilon must be 0 or more, got {epsilon:g}.")


@dataclasses.dataclass(frozen=True)
class StopRule:
    """Says after each glimpse, for each image by itself, whether looking may stop.

    Args:
        epsilon: Float >= 0. How sure is sure enough, in the rule's own unit.

    Attributes:
        name: What a command line calls it by.
        when: When it stops, in words, with `{epsilon}` for the number.
        longer: What a larger `epsilon` does: `"longer"` or `"shorter"` looks.
    """

    epsilon: float
    name: ClassVar[str] = ""
    when: ClassVar[str] = ""
    longer: ClassVar[str] = ""

    def __post_init__(self):
        check_number(self.epsilon)

    def describe(self):
        """Returns when it stops, in words."""
        words = self.when.format(epsilon=f"{self.epsilon:g}")
        return (
            f"{self.name}:{self.epsilon:g} {words}; a larger number looks {self.longer}"
        )

    @staticmethod
    def evidence(extras):
        """What the rule reads of a rollout's `extras`.

        Returns:
            Tensor `(batch, steps, ...)` with one step for every glimpse, or for every
            one but the last; `None` where there is nothing that it could read.
        """
        raise NotImplementedError

    def __call__(self, belief, evidence):
        """Whether looking may stop.

        Args:
            belief: Tensor `(..., classes)`, class probabilities.
            evidence: What `evidence` returned there.

        Returns:
            Boolean tensor `(...)`.
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Settled(StopRule):
    """Stops once no other class could still win: see `ops.is_settled`.

    Reads the error that the network predicts for each of its probabilities.
    """

    name: ClassVar[str] = "settled"
    when: ClassVar[str] = (
        "stops once the most probable class wins even if every probability is off by "
        "{epsilon} times its predicted error"
    )
    longer: ClassVar[str] = "longer"

    @staticmethod
    def evidence(extras):
        return extras.get("uncertainty")

    def __call__(self, belief, evidence):
        return is_settled(belief, evidence, self.epsilon)


@dataclasses.dataclass(frozen=True)
class LittleToGain(StopRule):
    """Stops once no place promises much: reads the gain that a policy predicts."""

    name: ClassVar[str] = "little_to_gain"
    when: ClassVar[str] = (
        "stops once no place promises {epsilon} nats of information gain any more"
    )
    longer: ClassVar[str] = "shorter"

    @staticmethod
    def evidence(extras):
        gain = extras.get("gain")  # Of a policy that predicts it.
        return None if gain is None else ops.max(gain, axis=-1)

    def __call__(self, belief, evidence):
        return evidence < self.epsilon


@dataclasses.dataclass(frozen=True)
class LittlePromise(StopRule):
    """Stops once looking on promises little: reads what a baseline expects to come.

    The baseline must have learned to expect gains, so that what is known already counts
    for nothing: see `Phase.stop_rules`. What it promises is what all further glimpses
    bring, discounted as in training: of a `gamma` of 0, the next one alone.
    """

    name: ClassVar[str] = "promise"
    when: ClassVar[str] = (
        "stops once the baseline promises less than {epsilon}, in the unit of the "
        "reward, of looking on"
    )
    longer: ClassVar[str] = "shorter"

    @staticmethod
    def evidence(extras):
        return extras.get("baselines")

    def __call__(self, belief, evidence):
        return evidence < self.epsilon
