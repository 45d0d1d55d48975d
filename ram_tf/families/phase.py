"""One stage of training, as data."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from ram_tf import objectives


@dataclasses.dataclass(frozen=True)
class Phase:
    """One stage of training: where to look, what to minimise, what stays fixed.

    Attributes:
        name: The phase's name, and its folder's in a family of several.
        policy: Factory of the policy. Its keywords are keys of the config's policy
            section, of which it is given those it names.
        objective: `(rollout, labels) -> {name: per-example term}`.
        weights: One weight per term.
        returns: What decisions are rewarded with, by name; the config chooses, and
            without its word the first one counts. The objective takes it as `returns`.
        credit: Factory of how decisions are credited with it, which the objective takes
            as `credit`: see `objectives.Credit`. `None` where there are no `returns`.
        guided: Factory of the policy to train with where places are known, from which
            it can learn: called as `policy` is, and of the same keys. `None` where it
            cannot.
        training_only: Terms that are measured in training alone.
        stop_rules: `StopRule` classes of networks that have none of their own, by the
            name of the returns that the baseline must have learned to expect.
        after_each: Those of `returns` that reward each glimpse, and so need to know
            what is believed after it.
        optional: Terms that have a weight where the config gives them one, and that
            need to know what is believed after each glimpse too. The objective returns
            them if it is told `early=True`.
        frozen: Attributes of the network that do not train.
        decided: Attributes of the network that learn from decisions alone, and from
            how many: with fewer, as with one glimpse or with a control as the policy,
            they have no gradient. Without one, any other part is a mistake.
        fixed: Keys of the config's `train` that have one value in this phase.
        starts_from: Name of the phase whose weights this one starts from, or `None`.
        reading: Options of the network's `read`: what the objective needs of it.
        reading_each: The same, where each glimpse is rewarded or an optional term has
            a weight.
        validation_objective: Measures what `objective` does where an image has other
            copies, or none; `None`, the same.
        evaluation_policy: Factory of the policy to evaluate with, or `None`, the same.
        policies: Further policies to evaluate with, name -> factory called as `policy`
            is; one that returns `None` does not apply. One with the name of a control
            stands for it.
        monitored_policy: Name of the policy whose path is watched as training goes:
            `learned`, or a cheaper one of these.
        view: `network -> AttentionModel`, what of the network looks.
    """

    name: str
    policy: Callable[..., Any]
    objective: Callable[..., dict]
    weights: Mapping[str, float]
    returns: Mapping[str, Callable[..., Any]] = dataclasses.field(default_factory=dict)
    credit: Callable[..., Any] | None = None
    guided: Callable[..., Any] | None = None
    training_only: tuple[str, ...] = ()
    stop_rules: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    after_each: frozenset[str] = frozenset()
    optional: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    decided: Mapping[str, int] = dataclasses.field(default_factory=dict)
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    starts_from: str | None = None
    reading: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    reading_each: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    validation_objective: Callable[..., dict] | None = None
    evaluation_policy: Callable[..., Any] | None = None
    policies: Mapping[str, Callable[..., Any]] = dataclasses.field(default_factory=dict)
    monitored_policy: str = "learned"
    view: Callable[[Any], Any] = lambda network: network

    def with_places(self, weight):
        """The phase that also learns from known places, in training alone."""
        return dataclasses.replace(
            self,
            policy=self.guided,
            weights={**self.weights, "places": weight},
            training_only=("places",),
            objective=functools.partial(objectives.with_places, self.objective),
            validation_objective=self.validation_objective or self.objective,
        )

    @property
    def factories(self):
        """All factories of policies."""
        own = self.evaluation_policy
        evaluated = () if own is None else (own,)
        return (self.policy, *evaluated, *self.policies.values())
