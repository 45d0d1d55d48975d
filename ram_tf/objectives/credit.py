import dataclasses

from keras import ops


@dataclasses.dataclass(frozen=True)
class Credit:
    """How rewards become the return that each decision is credited with.

    Decision t leads to a reward r_t and to the value V_{t+1} of what is known then. Its
    return is

        G_t = r_t + gamma ((1 - gae_lambda) V_{t+1} + gae_lambda G_{t+1}),

    with no value and no return after the last decision, so that G_t - V_t is the
    generalised advantage estimate. With both at 1 it is the sum of the rewards from t
    on; with `gamma` 0 it is the next reward alone, a greedy policy.

    Args:
        gamma: Float in [0, 1]. What a reward is worth one decision later.
        gae_lambda: Float in [0, 1]. How much of a later return is the one that came,
            and not the one that the baseline promised.
        copies: Int. With 2 or more, a return is compared with the mean of the other
            copies of its image, which lie side by side, and not with the baseline.

    Reference:
        [Schulman et al., 2016](https://arxiv.org/abs/1506.02438), equation 16; [Kool et
        al., 2019](https://openreview.net/forum?id=r1lgTGL5DE), of the other copies.
    """

    gamma: float = 1.0
    gae_lambda: float = 1.0
    copies: int = 1

    def __post_init__(self):
        for name in ("gamma", "gae_lambda"):
            value = getattr(self, name)
            if not 0 <= value <= 1:  # Neither is NaN.
                raise ValueError(f"credit.{name} must lie in [0, 1], got {value:g}")
        if self.copies > 1 and self.gae_lambda != 1:
            raise ValueError(
                "credit.leave_one_out takes whole returns, and no promise of the "
                f"baseline: credit.gae_lambda must be 1, got {self.gae_lambda:g}"
            )

    def returns(self, rewards, values):
        """What each decision is credited with.

        Args:
            rewards: `(batch, 1)`, one for all that was decided, or `(batch,
                decisions)`, one after each glimpse that a decision led to.
            values: `(batch, decisions)`, what the baseline promised before each.

        Returns:
            Tensor `(batch, decisions)` without a gradient, in the rewards' unit; or
            `(batch, 1)`, as it was given, where all decisions have the same.
        """
        decisions, steps = values.shape[1], rewards.shape[1]
        whole = self.gamma == 1 and self.gae_lambda == 1
        if not decisions:  # Of a control: nothing is to be rewarded.
            return rewards[:, :0]
        if steps == 1 and whole:
            return rewards
        if steps not in (1, decisions):
            raise ValueError(
                f"There are rewards after {steps} glimpses for {decisions} decisions: "
                "a reward after each glimpse needs one for each decision."
            )
        values = ops.stop_gradient(values)
        returned = [rewards[:, -1]]
        for step in reversed(range(decisions - 1)):
            later = self.gae_lambda * returned[0]
            if self.gae_lambda < 1:
                later += (1 - self.gae_lambda) * values[:, step + 1]
            reward = rewards[:, step] if steps > 1 else 0.0
            returned.insert(0, reward + self.gamma * later)
        return ops.stop_gradient(ops.stack(returned, axis=1))

    def expected(self, returned, values):
        """What each return is compared with: the baseline, or the other copies.

        Args:
            returned: What `returns` returned.
            values: `(batch, decisions)`, what the baseline promised.

        Returns:
            Tensor of the shape of `values`, or that broadcasts to it.
        """
        if self.copies == 1:
            return values
        by_copy = ops.reshape(returned, (-1, self.copies, returned.shape[1]))
        others = ops.sum(by_copy, axis=1, keepdims=True) - by_copy
        return ops.reshape(others / (self.copies - 1), ops.shape(returned))


# As published: every decision is credited with all that was gained.
PUBLISHED = Credit()
