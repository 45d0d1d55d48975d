"""Fine-grained attention on Stanford Dogs as in the paper, not in its public code.

120 breeds. A second recurrent network emits where to look, and features are multiplied
by a map of where they were seen; three glimpses of 2 patches. The backbone is that of
`dogs_k1.py`.

Sermanet et al. 2014, arXiv 1412.7054.

Command: python train.py --config=configs/dogs_paper.py --datapath=DIR
    --training_phase=all
Not run yet. Published: 76.8 %.

The paper's backbone is another one, and the number of patches is ours.
"""

import dogs_k1


def get_config():
    config = dogs_k1.get_config()
    config.model.num_scales = 2
    config.model.emission.kind = "recurrent"
    config.model.mix_location = True
    return config
