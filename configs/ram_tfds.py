"""RAM on any image classification data set of TensorFlow Datasets, named by a key.

`data.tfds_name` is the set's name in the catalogue, "name/configuration" where it has
several, or that of a folder in `--datapath` that a builder of your own prepared. Images
are cropped around the centre to the ratio of `data.image_size` and resized to it;
`--config.data.image_size=None` leaves them as they are, all of one size. A set without
a test split is divided by the splits' names, of which no two may share images:

python train.py --config=configs/ram_tfds.py --config.data.tfds_name=eurosat/rgb
    --config.data.train_split='train[:80%]' --config.data.test_split='train[80%:]'

Command: python train.py --config=configs/ram_tfds.py --config.data.tfds_name=NAME
Score: depends on your images.
"""

import ram_folder
from ml_collections import config_dict


def get_config():
    config = ram_folder.get_config()
    config.data = config_dict.ConfigDict(
        {
            "name": "tfds",
            "datapath": config_dict.placeholder(str),
            "validation_fraction": 0.1,
            "seed": 0,
            "tfds_name": config_dict.placeholder(str),
            "train_split": "train",
            "validation_split": config_dict.placeholder(str),
            "test_split": "test",
            "image_size": config_dict.FieldReference((96, 96)),
            "channels": config_dict.placeholder(int),
            "augment": (),
            "max_gigabytes": 8.0,
        }
    )
    return config
