"""Building blocks of the configs: no experiment of its own.

A config is one page that takes blocks from here and sets what is its own, or one such
page with a few keys changed. A key that may be None is a placeholder, or a reference
where it has a value, so that a command line can set it either way.
"""

from ml_collections import config_dict


def base(family):
    """Everything but data, model, policy and phases, which each family has its own of.

    An epoch is a pass over the training images unless `train.steps_per_epoch` is set.
    """
    config = config_dict.ConfigDict()
    config.family = family
    config.train = config_dict.ConfigDict(
        {
            "num_glimpses": 6,
            "mc_samples": 1,
            "batch_size": 128,
            "epochs": 15,
            "steps_per_epoch": config_dict.placeholder(int),
            "learning_rate": 1e-3,
            "schedule": {"kind": "cosine", "warmup_steps": 0, "minimum": 0.0},
            "clip_norm": config_dict.FieldReference(5.0),
            "early_stopping_patience": config_dict.placeholder(int),
            "monitor": "val_accuracy",
            "checkpoint_every_steps": 1000,
            "picture_every_epochs": 5,
            "steps_per_execution": 10,
            "pretrain_checkpoint": config_dict.placeholder(str),
        }
    )
    config.eval = config_dict.ConfigDict(
        {
            "batch_size": 500,
            "max_examples": config_dict.placeholder(int),
            "mc_samples": 10,
            "validation_mc_samples": 1,
            "seeds": 1,
            "policies": config_dict.FieldReference(
                ("learned", "mean", "random", "center")
            ),
        }
    )
    config.runtime = config_dict.ConfigDict(
        {
            "seed": 0,
            "deterministic": True,
            "strategy": "auto",
            "mixed_precision": "float32",
            "xla": True,
        }
    )
    return config


# Data


def source(name, **options):
    """A data section: what every data set has, and `options` of this one."""
    return config_dict.ConfigDict(
        {
            "name": name,
            "datapath": config_dict.placeholder(str),
            "validation_fraction": 0.1,
            "seed": 0,
            **options,
        }
    )


def digits(digit_size, canvas):
    """The digits that ship with scikit-learn, dropped on a canvas."""
    return source(
        "digits",
        digit_size=digit_size,
        canvas=config_dict.FieldReference(canvas),
        test_places=4,
    )


def mnist(canvas=None, clutter=None):
    """MNIST as it is, or dropped on a canvas, with pieces of other digits if told."""
    place = config_dict.FieldReference(canvas, tuple)
    if canvas is None:
        return source("mnist", canvas=place)
    if clutter is None:
        return source("translated_mnist", canvas=place)
    return source("cluttered_mnist", canvas=place, num_pieces=clutter, piece_size=8)


def colour(name, augment):
    """CIFAR-10 and its like: `augment` names what changes training images."""
    return source(name, augment=augment)


def folder():
    """A folder of class folders of images, or an archive of one."""
    return source(
        "folder",
        image_size=config_dict.FieldReference((96, 96)),
        square=config_dict.placeholder(int),
        smallest_square=1.0,
        flip=False,
        channels=3,
        test_fraction=0.2,
        num_folds=config_dict.placeholder(int),
        fold=0,
        split_seed=0,
        max_gigabytes=8.0,
        cache_gigabytes=100.0,
        value_range=config_dict.placeholder(tuple),
    )


def hunt():
    """Huge images, computed where a model looks, with one small target in each."""
    return source(
        "hunt",
        validation_fraction=0.03,
        num_train=20_000,
        num_test=1024,
        sides=config_dict.FieldReference((4096,)),
        target_side=128,
        channels=1,
        data_seed=0,
    )


# Families


def ram(family="ram"):
    """RAM with two scales of 8x8 pixels, a rectifier core and a two-layer head."""
    config = base(family)
    config.model = config_dict.ConfigDict(
        {
            "retina": {
                "size": 8,
                "num_scales": 2,
                "scale_factor": 2,
                "sides": config_dict.placeholder(tuple),
                "reduction": "average",
                "padding": "zeros",
                "pixel_mean": 0.0,
                "pixel_stddev": 1.0,
            },
            "glimpse_network": {
                "kind": "mlp",
                "glimpse_units": 128,
                "location_units": 128,
                "units": 256,
            },
            "core": {"kind": "rectifier", "units": 256},
            "location": {
                "stddev": 0.1,
                "hidden_units": config_dict.FieldReference(128),
                "bound": "tanh",
                "mean_scale": 1.0,
                "detach_inputs": True,
            },
            "baseline": _baseline(),
        }
    )
    config.policy = config_dict.ConfigDict(
        {
            "kind": "gaussian",
            "first_fraction": 1.0,
            "first_location": config_dict.placeholder(tuple),
            "count_last_action": False,
        }
    )
    config.phases = config_dict.ConfigDict(
        {
            "train": {
                "weights": {
                    "classification": 1.0,
                    "baseline": 1.0,
                    "reinforce": 1.0,
                    "early_classification": 0.0,
                },
                "returns": "right",
                "credit": {"gamma": 1.0, "gae_lambda": 1.0, "leave_one_out": False},
            }
        }
    )
    return config


def ram_mnist(canvas=None, clutter=None, family="ram"):
    """RAM on MNIST, as we train it: six glimpses of 8x8 pixels, or 12x12 on a canvas.

    On a canvas the digit must be found: three scales, wider layers, pixels normalised,
    a head that is scaled, a first glimpse in the middle half, belief as the return.
    """
    config = ram(family)
    config.data = mnist(canvas, clutter)
    config.model.retina.num_scales = 1
    config.train.batch_size = 256
    config.train.picture_every_epochs = 10
    config.train.steps_per_execution = 20
    config.eval.seeds = 3
    if canvas is None:
        return config
    retina, glimpse = config.model.retina, config.model.glimpse_network
    retina.size, retina.num_scales = 12, 3
    retina.pixel_mean, retina.pixel_stddev = 0.05, 0.2
    glimpse.glimpse_units, glimpse.units = 256, 512
    config.model.location.stddev = 0.05
    config.model.location.mean_scale = 0.03
    config.policy.first_fraction = 0.5
    config.phases.train.returns = "belief"
    return in_bfloat16(config)


def mram(canvas=None, clutter=None, family="mram"):
    """Two LSTM layers on MNIST, by the recipe of RAM on MNIST.

    Glimpse networks multiply what by where; the location head has one layer.
    """
    config = ram_mnist(canvas, clutter, family)
    model = config.model
    model.glimpse_network.update(glimpse_units=128, units=256, product=True)
    # Which gradient goes where is the wiring's: there is nothing to detach.
    del model.core, model.location.detach_inputs, model.baseline.detach_inputs
    model.lower = {"kind": "lstm", "units": 256}
    model.upper = {"kind": "lstm", "units": 256}
    model.location.hidden_units = None
    return config


def dram(canvas=None, clutter=None):
    """DRAM: the upper layer looks, and begins with a coarse view of the whole image."""
    config = mram(canvas, clutter, family="dram")
    config.model.retina.num_scales = 2
    config.model.overview_size = 24
    config.model.context = {
        "filters": (32, 32),
        "kernel_sizes": (5, 3),
        "strides": (2, 2),
    }
    # No glimpse is drawn anywhere: a head of scale 1 walks to an edge, and stays there.
    config.model.location.mean_scale = 0.03
    config.policy = config_dict.ConfigDict({"kind": "opening"})
    config.phases.train.returns = "belief"
    return config


def know_places(config, share, weight):
    """Tells training where the digit is, of a share of the training images."""
    config.data.known_places = share
    config.phases.train.weights.places = weight
    return config


def in_bfloat16(config):
    """Matrix products in bfloat16, which are quick outside XLA alone, where the
    processor has units for them (AMX).
    """
    config.runtime.mixed_precision = "mixed_bfloat16"
    config.runtime.xla = False
    return config


def active_ram():
    """RAM on MNIST with an error head, and the losses of active sampling."""
    config = ram_mnist(family="active_ram")
    config.model.error_head = {"shared": False}
    config.model.baseline.activation = "relu"
    config.phases.train.weights.update(
        error_fit=1.0,
        uncertainty=1e-3,
        intrinsic_belief=0.1,
        early_classification=1.0,
    )
    return config


def pham(feature_units=128, latent_units=256, hidden_units=512, num_flows=4):
    """PHAM as published, for images of 32x32 pixels."""
    config = base("pham")
    config.model = config_dict.ConfigDict(
        {
            "glimpse_size": 8,
            "feature_units": feature_units,
            "latent_units": latent_units,
            "hidden_units": hidden_units,
            "num_flows": num_flows,
            "dropout": 0.5,
            "channel_variance": False,
            "imagined_steps": config_dict.placeholder(int),
        }
    )
    config.policy = config_dict.ConfigDict(
        {
            "num_samples": 20,
            "feature_noise": False,
            "first_location": config_dict.placeholder(tuple),
        }
    )
    first, second = {"classification": 1.0}, {"kl": 1.0, "reconstruction": 1.0}
    config.phases = config_dict.ConfigDict(
        {
            "first": _phase(first, "steps_per_epoch"),
            "second": {**_phase(second, "steps_per_epoch"), "monitor": "val_loss"},
            "third": _phase({"classification": 16.0, **second}, "steps_per_epoch"),
        }
    )
    config.phases.first.epochs = 1000
    config.train.num_glimpses = 7
    config.train.batch_size = 64
    config.train.epochs = 100
    config.train.clip_norm = 10.0
    config.train.schedule = {
        "kind": "plateau",
        "monitor": "loss",
        "factor": 0.5,
        "patience": 25,
        "min_delta": 0.01,
        "minimum": 0.0,
    }
    config.train.picture_every_epochs = 7
    config.eval.batch_size = 50
    config.eval.mc_samples = 1
    config.eval.seeds = 3
    config.eval.policies = ("learned", "random")
    return config


def fine_grained():
    """Fine-grained attention as published, for squares of photographs."""
    config = base("fine_grained")
    config.model = config_dict.ConfigDict(
        {
            "backbone": {"kind": "resnet50", "stride_one": True, "norm_momentum": 0.99},
            "size": 96,
            "num_scales": 1,
            "start_size": 2,
            "core": {"kind": "lstm", "units": 2048},
            "emission": {"kind": "attention", "units": 512},
            "baseline": _baseline(),
            "mix_location": False,
        }
    )
    config.policy = config_dict.ConfigDict({"kind": "context", "stddev": 0.2})
    combinations = ("high_medium", "high_low", "medium_low", "high_medium_low")
    decided = {"classification": 1.0, "baseline": 1.0, "reinforce": 1.0}
    config.phases = config_dict.ConfigDict(
        {
            "pretrain": _phase(dict.fromkeys(combinations, 1.0), "batch_size"),
            "attend": _phase(decided, "batch_size"),
        }
    )
    config.train.num_glimpses = 3
    config.train.steps_per_execution = 1
    config.eval.batch_size = 32
    config.eval.mc_samples = 7
    config.eval.policies = ("learned", "random", "center")
    # The convolutions of a backbone are slower under XLA on a CPU.
    config.runtime.xla = False
    return config


def _phase(weights, *more):
    """A phase's section: its terms, and keys that it may have its own values of.

    What a phase sets stands above the same key of `train`; None leaves it as it is.
    """
    return {
        "weights": weights,
        "epochs": config_dict.placeholder(int),
        "learning_rate": config_dict.placeholder(float),
        "pretrain_checkpoint": config_dict.placeholder(str),
        **{key: config_dict.placeholder(int) for key in more},
    }


def _baseline():
    return {"activation": config_dict.placeholder(str), "detach_inputs": True}
