"""What deciding how wide to look is worth, on digits of all sizes.

All but the first see one width in every glimpse: 10, 24 or 60 pixels. Their models are
the same, and the third number that they decide on changes nothing. Of these `as_it_is`
and `middle` have been run: see zoom_digits.py.
"""

BASE = "configs/zoom_digits.py"

VARIANTS = {
    "as_it_is": {},
    "narrow": {"model.retina.zoom": (1.0, 1.0)},
    "middle": {"model.retina.zoom": (2.4, 2.4)},
    "wide": {"model.retina.zoom": (6.0, 6.0)},
}
