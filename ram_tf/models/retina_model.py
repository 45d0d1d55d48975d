from ram_tf.models.attention_model import AttentionModel


class RetinaModel(AttentionModel):
    """What all models share that see through a `Retina`, their attribute `retina`."""

    @property
    def glimpse_sides(self):
        return self.retina.patch_sides

    @property
    def senses_noise(self):
        return self.retina.padding != "zeros"

    def begin(self, context, num_glimpses):
        sums = self.retina.summarize(context["images"], num_glimpses)
        return {**context, "sums": sums}

    def sense(self, context, locations, seed=None):
        return self.retina(
            context["images"], locations, seed=seed, sums=context.get("sums")
        )

    def normalize(self, pixels):
        retina = self.retina
        return (pixels - retina.pixel_mean) / retina.pixel_stddev

    def denormalize(self, glimpses):
        return glimpses * self.retina.pixel_stddev + self.retina.pixel_mean
