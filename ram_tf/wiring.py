"""What low parts ask of high ones: functions that `ram_tf/__init__.py` puts here.

A model's class offers `from_preset`, which takes a config, a family and a workdir. All
of these lie above the models and import them, so the models cannot import them. The
package itself stands above everything: it hands the function down when it is imported,
before any module of it can be, and the models call what they find here.
"""

# `(model class, name of a preset) -> built model`.
read_preset = None
