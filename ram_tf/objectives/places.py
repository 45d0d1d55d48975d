from keras import ops


def place_error(rollout, places):
    """How far decisions aimed from where something is known to be.

    Args:
        rollout: A `Rollout` whose extras hold `aims` `(batch, decisions, 2 or 3)`;
            without decisions it needs none. How wide was looked does not count.
        places: Float tensor `(batch, 2)`, (x, y) in [-1, 1]; NaN where not known.

    Returns:
        Float tensor `(batch,)`: the squared distance in normalised coordinates, mean
        over decisions; 0, without a gradient, where the place is not known or nothing
        was decided.

    Reference:
        After [Ba et al., 2015](https://arxiv.org/abs/1412.7755), whose model learns
        where to look from being right alone.
    """
    known = ops.logical_not(ops.isnan(places[:, 0]))
    if not rollout.log_probs.shape[1]:
        return ops.zeros_like(places[:, 0])
    # Before the difference: the gradient of a NaN that is not chosen is one as well.
    places = ops.where(known[:, None], places, 0.0)
    distances = ops.square(rollout.extras["aims"][..., :2] - places[:, None])
    error = ops.mean(ops.sum(distances, axis=-1), axis=1)
    return ops.where(known, error, 0.0)


def with_places(objective, rollout, targets):
    """The terms of an objective, and `places`, the `place_error`.

    Args:
        objective: `(rollout, labels) -> {name: per-example term}`.
        rollout: A `Rollout`.
        targets: `data.Targets`, or what has `labels` and `places` as they do.
    """
    terms = objective(rollout, targets.labels)
    return {**terms, "places": place_error(rollout, targets.places)}
