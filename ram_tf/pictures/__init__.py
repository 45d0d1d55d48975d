"""Pictures; each module imports matplotlib or not, and training only draws with it."""
