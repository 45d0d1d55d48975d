import keras
import tensorflow as tf
from keras import ops

from ram_tf import random
from ram_tf.data import Targets
from ram_tf.errors import InputError
from ram_tf.models.looker import Looker
from ram_tf.ops import repeat_examples

# A loss scale that fell so far did not make the gradient overflow.
_LOWEST_SCALE = 2.0**-10


class Trainer(keras.Model):
    """Trains `network` under one `phase`.

    All weights live in the network: it alone is kept and exported. All randomness of a
    step comes from (seed, step, replica), so nothing of it has to be saved.

    Args:
        network: A built `AttentionModel`.
        phase: A `Phase`: what of the network looks, what to minimise, what stays fixed.
        policy: Where to look.
        num_glimpses: Int.
        mc_samples: Int. Copies of each image in a training batch, each with its own
            noise.
        eval_samples: Int. Copies whose class probabilities are averaged in `test_step`.
        clip_norm: Float or `None`. Bound on the norm of the gradient of the global
            batch: the same update on any number of replicas.
        xla: Boolean. Compile the forward and backward pass with XLA; else only what
            cuts glimpses, which then takes a quarter of the time on a CPU.
        seed: Int.
    """

    def __init__(
        self,
        network,
        phase,
        policy,
        num_glimpses,
        *,
        mc_samples=1,
        eval_samples=1,
        clip_norm=None,
        xla=True,
        seed=0,
    ):
        super().__init__()
        self.network = network
        self.attention = phase.view(network)
        self.phase = phase
        self.num_glimpses = num_glimpses
        self.mc_samples = mc_samples
        self.eval_samples = eval_samples
        self.clip_norm = clip_norm
        self.xla = xla
        self.seed = seed
        for name in phase.frozen:
            part = getattr(network, name)
            if part is not None:  # An option that is off.
                part.trainable = False
        names = ("loss", "accuracy", *phase.weights)
        self.trackers = {name: keras.metrics.Mean(name) for name in names}
        self.policy = policy
        self._compiled_gradients = self._gradients
        self._compiled_rollout = self._test_rollout
        if xla:
            self._compiled_gradients = self._training.compile(self._gradients)
            self._compiled_rollout = self._testing.compile(self._test_rollout)
        # The optimizer's own count leaves out what a loss scale skipped.
        self.steps = self.add_weight(
            name="steps",
            shape=(),
            initializer="zeros",
            dtype="int64",
            trainable=False,
            aggregation="only_first_replica",
        )
        self.built = True

    @property
    def policy(self):
        """Where to look; it may be set before the first step."""
        return self._training.policy

    @policy.setter
    def policy(self, policy):
        self._training = self._make_looker(policy, self.mc_samples)
        self._testing = self._make_looker(policy, self.eval_samples)

    def _make_looker(self, policy, copies):
        return Looker(
            self.attention,
            policy,
            self.num_glimpses,
            copies=copies,
            reading=self.phase.reading,
            xla=self.xla,
        )

    @property
    def metrics(self):
        return list(self.trackers.values())

    @property
    def step(self):
        """Number of training steps done."""
        # A mirrored variable is no number, but becomes a tensor.
        return int(tf.convert_to_tensor(self.steps.value))

    def call(self, images, training=False, seed=None):
        return self.attention(
            images,
            policy=self.policy,
            num_glimpses=self.num_glimpses,
            training=training,
            seed=seed,
        )

    def train_step(self, data):
        logs, _ = self.checked_step(data)
        return logs

    def checked_step(self, data):
        """Does a training step.

        Returns:
            logs: Dictionary of the metrics so far.
            norm: Scalar, finite if the gradient is that the weights are updated with:
                its norm, or 0 where a loss scale skips it.
        """
        images, targets, _ = keras.utils.unpack_x_y_sample_weight(data)
        seed = self._step_seed(self.steps)
        context = self.attention.prepare(images, training=True)
        (targets,) = repeat_examples(self.mc_samples, targets)
        labels = targets.labels if isinstance(targets, Targets) else targets
        scale = self.optimizer.scale_loss(tf.ones(()))
        gradients, norm, terms, logits = self._compiled_gradients(
            context, targets, seed, scale
        )
        if self.clip_norm is not None:
            gradients, norm = clip_global_norm(gradients, self.clip_norm, scale)
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            if self.clip_norm is None:  # All replicas skip a step, or none does.
                gradients = share_sum(gradients)
            norm = ops.where(scale > _LOWEST_SCALE, 0.0, norm)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        self.steps.assign_add(1)
        return self._update_metrics(terms, ops.softmax(logits), labels), norm

    def test_step(self, data, batch=0):
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        # No training step is below 0, and every evaluation draws the same.
        seed = self._step_seed(-1 - batch)
        context = self.attention.prepare(images)
        (copied_labels,) = repeat_examples(self.eval_samples, labels)
        terms, logits = self._compiled_rollout(context, copied_labels, seed)
        terms = {name: self._testing.average(term) for name, term in terms.items()}
        probabilities = self._testing.average(ops.softmax(logits))
        return self._update_metrics(terms, probabilities, labels, weights)

    def _step_seed(self, step):
        return random.make_seed(self.seed, step, random.replica_id())

    def _gradients(self, context, targets, seed, scale):
        with tf.GradientTape() as tape:
            result = self._training.look(context, seed, training=True)
            terms = self.phase.objective(result, targets)
            loss = mean_over_global_batch(self._weighted(terms))
            scaled = loss * scale
        variables = self.trainable_variables
        gradients = tape.gradient(scaled, variables)
        self._check_gradients(gradients, decisions=result.log_probs.shape[1])
        gradients = [
            ops.zeros_like(variable) if gradient is None else gradient
            for variable, gradient in zip(variables, gradients)
        ]
        # Here it costs nearly nothing; a clip needs that of all replicas, after this.
        norm = tf.linalg.global_norm(gradients) if self.clip_norm is None else None
        return gradients, norm, terms, result.logits[:, -1]

    def _check_gradients(self, gradients, decisions):
        """Refuses a variable that trains and has none, though its part could."""
        parts = [
            getattr(self.network, name)
            for name, needed in self.phase.decided.items()
            if decisions < needed
        ]
        idle = {id(each) for part in parts for each in part.trainable_variables}
        missing = [
            variable.path
            for variable, gradient in zip(self.trainable_variables, gradients)
            if gradient is None and id(variable) not in idle
        ]
        if missing:
            raise InputError(
                f"phase {self.phase.name} trains {', '.join(missing)}, which its "
                "objective gives no gradient: freeze the part in the phase (`frozen`), "
                "or name it there as one that learns from decisions (`decided`)."
            )

    def _test_rollout(self, context, labels, seed):
        result = self._testing.look(context, seed)
        measure = self.phase.validation_objective or self.phase.objective
        return measure(result, labels), result.logits[:, -1]

    def _weighted(self, terms):
        return sum(self.phase.weights[name] * term for name, term in terms.items())

    def _update_metrics(self, terms, probabilities, labels, weights=None):
        correct = ops.equal(ops.argmax(probabilities, axis=-1), labels)
        values = {
            "loss": self._weighted(terms),
            "accuracy": ops.cast(correct, "float32"),
            **terms,
        }
        for name, value in values.items():
            self.trackers[name].update_state(value, sample_weight=weights)
        return {name: tracker.result() for name, tracker in self.trackers.items()}


def mean_over_global_batch(per_example):
    """Sums over this replica's examples, divided by the examples of all replicas.

    The optimizer sums gradients over replicas, which completes the mean. The only loss
    code that knows about replicas.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync if context else 1
    examples = ops.cast(ops.shape(per_example)[0] * replicas, per_example.dtype)
    return ops.sum(per_example) / examples


def clip_global_norm(gradients, clip_norm, scale=1.0):
    """Clips the gradient of the global batch, in replica context.

    The optimizer sums what each replica hands in, so a clip before that sum would bound
    each replica's part instead: the sum is taken here, clipped, and handed back in
    equal shares.

    Returns:
        The gradients, and the norm that they had, of the sum.
    """
    gradients, norm = tf.clip_by_global_norm(
        _sum_over_replicas(gradients), clip_norm * scale
    )
    return _equal_shares(gradients), norm


def share_sum(gradients):
    """Gives every replica an equal share of the sum of all replicas' gradients.

    The optimizer's own sum of them is the same. What is not finite on one replica is so
    on all of them: a loss scale then skips the step on each, and not on that one alone.
    """
    return _equal_shares(_sum_over_replicas(gradients))


def _sum_over_replicas(gradients):
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return gradients
    return context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)


def _equal_shares(gradients):
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    return [gradient / replicas for gradient in gradients]
