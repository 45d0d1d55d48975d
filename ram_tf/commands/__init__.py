"""The commands: one module each, flags in, one call out."""
