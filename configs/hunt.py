import common


def get_config():
    config = common.ram()
    config.data = common.hunt()
    retina, glimpse = config.model.retina, config.model.glimpse_network
    retina.size, retina.sides = 16, (256, 1024, 2048, 4096)
    retina.num_scales = None
    retina.pixel_mean, retina.pixel_stddev = 0.27, 0.08
    glimpse.glimpse_units, glimpse.units = 256, 512
    config.model.location.stddev = 0.2
    config.model.location.mean_scale = 0.3
    config.policy.first_location = (0.0, 0.0)
    config.phases.train.weights.early_classification = 1.0
    config.phases.train.returns = "gain"
    config.train.num_glimpses = 4
    config.train.batch_size = 64
    config.train.epochs = 15
    config.train.steps_per_epoch = 100
    config.eval.batch_size = 64
    return config
