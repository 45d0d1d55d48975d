"""How patches are made smaller, and what lies outside of the image: the choices of
RAM's TensorFlow version, one change at a time.

Not run yet.
"""

BASE = "configs/translated_mnist_published.py"

VARIANTS = {
    "as_it_is": {},
    "average": {"model.retina.reduction": "average"},
    "bicubic": {"model.retina.reduction": "bicubic"},
    "normal_noise": {"model.retina.padding": "normal"},
    "zeros": {"model.retina.padding": "zeros"},
}
