"""Experiments over experiments: searches, ablations, folds."""
