"""What RAM's accuracy is worth: the same model trained without a policy of its own, and
small convolutional networks that see the whole image, or all of it at once but small.

Floating-point operations an image (`ram_tf.benchmark.forward_flops`), in millions: RAM
with six glimpses 2.82, the whole image 2.48, the small one 2.91; without its location
head, RAM's random and centre controls 2.49 and 1.75.
"""

BASE = "configs/ram_mnist.py"

GLIMPSES = "model.glimpse_network"
EVALUATED = "eval.policies"
WHOLE_IMAGE = {
    "policy.kind": "center",
    EVALUATED: ("learned",),
    "train.num_glimpses": 1,
    "model.retina.num_scales": 1,
}

VARIANTS = {
    "learned": {},
    "trained_random": {"policy.kind": "random", EVALUATED: ("learned",)},
    "trained_center": {"policy.kind": "center", EVALUATED: ("learned",)},
    # One glimpse at the centre, as large as the image of 28x28 pixels.
    "whole_image_cnn": {
        **WHOLE_IMAGE,
        "model.retina.size": 28,
        GLIMPSES: {
            "kind": "conv",
            "filters": (16, 32, 32),
            "strides": (2, 2, 1),
            "units": 256,
        },
    },
    # The same, averaged down to the pixels of one glimpse.
    "downsampled_cnn": {
        **WHOLE_IMAGE,
        "model.retina.size": 7,
        "model.retina.sides": (28,),
        GLIMPSES: {
            "kind": "conv",
            "filters": (32, 32, 32),
            "strides": (1, 1, 1),
            "units": 256,
        },
    },
}
