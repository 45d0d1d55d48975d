"""The best weights of a run, measured once and drawn."""

from ram_tf import evaluation
from ram_tf.errors import only_warned
from ram_tf.experiment.build import default_policy, pick_policies


def final_test(config, network, everything, dataset, folder, split):
    """Measures the best weights once, on the test set if not told, and draws them."""
    compared = evaluation.compare_policies(
        network,
        pick_policies(everything, config.eval.policies),
        dataset.eval_batches(split, config.eval.batch_size, config.eval.max_examples),
        config.train.num_glimpses,
        groups=dataset.eval_groups(split, config.eval.max_examples),
        mc_samples=config.eval.mc_samples,
        seeds=config.eval.seeds,
        unknown_class=dataset.unknown_class,
        background=dataset.background,
        xla=config.runtime.xla,
    )
    learned = compared["policies"]["learned"]
    # Drawing alone needs matplotlib, which takes long to import.
    from ram_tf.pictures.glimpses import plot_recording
    from ram_tf.pictures.record import record

    picture = folder / "figures" / f"{split}_glimpses.png"
    with only_warned(f"no picture of the {split}", print):
        images, labels = dataset.some(split, 6)
        policy = default_policy(config, everything)
        recording = record(network, policy, images, config.train.num_glimpses)
        plot_recording(recording, picture, dataset.class_names, labels)
    return {
        split: {
            "accuracy": learned["accuracy"]["mean"][-1],
            "standard_error": learned["accuracy"]["standard_error"][-1],
            "accuracy_per_glimpse": learned["accuracy"]["mean"],
            "accuracy_one_sample": learned["accuracy_one_sample"]["mean"][-1],
            "num_examples": compared["num_examples"],
        },
        "comparison": compared,
        "picture": str(picture),
    }
