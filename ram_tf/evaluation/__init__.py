"""How good a policy is on given weights, and how sure that is."""

from ram_tf.evaluation.comparison import compare_policies
from ram_tf.evaluation.evaluator import Evaluator

__all__ = ["Evaluator", "compare_policies"]
