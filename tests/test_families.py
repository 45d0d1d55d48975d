"""One lookup of a family, and the folders of its phases."""

import json

import pytest

from ram_tf import benchmark, experiment, families
from ram_tf.errors import InputError
from ram_tf.studies import ablation, cross_validation, tuning

MISSPELT = "unknown family 'rma': expected one of active_ram, "


@pytest.mark.parametrize(
    "start",
    [
        lambda config, folder: ablation.run(config, {"plain": {}}, folder),
        lambda config, folder: benchmark.run(config),
        lambda config, folder: cross_validation.run(config, folder),
        lambda config, folder: experiment.run(config, folder),
        lambda config, folder: tuning.search(config, {}, folder),
    ],
    ids=["ablation", "benchmark", "cross_validation", "train", "tuning"],
)
def test_a_misspelt_family_is_one_line_everywhere(start, understand, tmp_path):
    config = understand()
    config.family = "rma"
    with pytest.raises(InputError, match=MISSPELT):
        start(config, tmp_path / "run")


@pytest.fixture
def leave_runs(understand, tmp_path):
    """Returns a function that leaves runs, folder -> name of its family, empty."""

    def leave(runs):
        for name, family in runs.items():
            folder = tmp_path / name
            (folder / "checkpoints").mkdir(parents=True)
            config = understand().to_dict()
            config["family"], config["phases"] = family, {name: {}}
            (folder / "config.json").write_text(json.dumps(config))
            dataset = {"class_names": ["a", "b"], "image_shape": [8, 8, 1]}
            (folder / "dataset.json").write_text(json.dumps(dataset))
        return tmp_path

    return leave


def folder_of(workdir):
    """The folder that is restored from: it is named, as it has no checkpoint."""
    with pytest.raises(InputError, match="no checkpoint 'best' in ") as raised:
        experiment.restore(workdir)
    return str(raised.value).split(" in ")[1].split(":")[0]


def test_a_workdir_is_that_of_its_last_phase(leave_runs):
    workdir = leave_runs({"third": "pham", "first": "pham"})
    assert folder_of(workdir) == str(workdir / "third")


def test_phases_of_the_same_names_belong_to_the_family_of_their_run(
    leave_runs, monkeypatch
):
    pham = families.find_family("pham")
    other = families.Family(pham.build, pham.phases[::-1])
    monkeypatch.setitem(families.FAMILIES, "zzz", other)
    workdir = leave_runs({"third": "pham", "first": "pham"})
    assert folder_of(workdir) == str(workdir / "third")


def test_phases_of_two_families_in_one_workdir_are_refused(leave_runs):
    workdir = leave_runs({"first": "pham", "attend": "fine_grained"})
    with pytest.raises(InputError, match="holds phases of fine_grained and pham"):
        experiment.restore(workdir)


def test_a_run_beside_others_is_no_phase(leave_runs):
    """A family of one phase has its run in the workdir itself."""
    workdir = leave_runs({"train": "ram"})
    with pytest.raises(InputError, match=f"cannot read {workdir}/config.json"):
        experiment.restore(workdir)
