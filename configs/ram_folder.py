"""RAM on your own images: a folder, .tar or .zip with one folder of images a class.

Images are cropped around the centre to the ratio of `data.image_size` and resized to
it, or left as they are, all of one size (`--config.data.image_size=None`). Start from
glimpses that cover a tenth to a half of the image together; the command prints what
share they can cover.

Command: python train.py --config=configs/ram_folder.py --datapath=DIR
Score: depends on your images.
"""

import common


def get_config():
    config = common.ram()
    config.data = common.folder()
    config.model.retina.size = 12
    config.model.retina.num_scales = 3
    config.model.retina.pixel_mean = 0.5
    config.model.retina.pixel_stddev = 0.25
    config.model.location.stddev = 0.05
    config.train.batch_size = 64
    config.train.epochs = 50
    config.train.learning_rate = 3e-4
    config.eval.batch_size = 64
    return config
