"""Two recurrent layers without a context: trained as RAM is."""

from ram_tf import models
from ram_tf.families import ram
from ram_tf.families.family import Family

FAMILY = Family(models.MRAM.from_options, ram.PHASES, default_policy="mean")
