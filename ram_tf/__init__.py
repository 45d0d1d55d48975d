"""Hard visual attention for Keras: models that look at a few places of an image.

Names are imported when they are used, so that `import ram_tf` costs nothing.
"""

import importlib

from ram_tf import wiring
from ram_tf.backend import check_backend

__version__ = "0.1.0"

_HOMES = {
    "ActiveRAM": "ram_tf.models",
    "DRAM": "ram_tf.models",
    "FineGrained": "ram_tf.models",
    "MRAM": "ram_tf.models",
    "PHAM": "ram_tf.models",
    "RAM": "ram_tf.models",
    "Phase": "ram_tf.families",
    "Trainer": "ram_tf.training",
    "export": "ram_tf.serving.export",
    "layers": None,
    "objectives": None,
    "ops": None,
    "policies": None,
    "presets": "ram_tf.experiment.preset",
}
__all__ = [*sorted(_HOMES), "__version__"]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'ram_tf' has no attribute {name!r}")
    check_backend()
    if _HOMES[name] is None:
        return importlib.import_module(f"ram_tf.{name}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def _read_preset(model_class, name):
    """Hands on what `from_preset` of the models asks of a part above them."""
    experiment = importlib.import_module("ram_tf.experiment.preset")
    return experiment.read_preset(model_class, name)


wiring.read_preset = _read_preset


def __dir__():
    return __all__
