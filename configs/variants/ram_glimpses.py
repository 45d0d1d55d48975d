"""What glimpses and scales are worth, and the time that each costs."""

BASE = "configs/ram_digits.py"

VARIANTS = {
    f"{glimpses}_glimpses_{scales}_scales": {
        "train.num_glimpses": glimpses,
        "model.retina.num_scales": scales,
    }
    for glimpses in (2, 4, 6)
    for scales in (1, 2, 3)
}
