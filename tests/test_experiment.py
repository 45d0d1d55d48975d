"""What a run refuses to go on with, and what it says where it goes on."""

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ram_tf import data, experiment, pretrained
from ram_tf.errors import InputError
from ram_tf.evaluation import reports
from ram_tf.experiment import past_configs, runner
from ram_tf.families import FAMILIES
from tests import test_configs

# A config of every family and data set that past configs are completed for.
MODULES = {
    "active_ram": "active_ram_mnist",
    "fine_grained": "photos_small",
    "folder": "ram_folder",
    "open_set_ram": "omniglot",
    "pham": "pham_digits",
    "ram": "ram_digits",
    "stanford_dogs": "dogs_k1",
}
ADDED = [(kind, key) for kind, keys in past_configs.ADDED.items() for key in keys]
OTHER = "1 images, 0123456789abcdef"


class Reached(BaseException):
    """The run came as far as the test wants it to."""


@pytest.fixture
def configs(root, monkeypatch):
    """Returns a function: a family or data set -> a config of it."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(root / "configs")])

    def config_of(kind):
        config = __import__(MODULES[kind]).get_config()
        config.runtime.deterministic = False  # That would hold for other tests.
        config.runtime.strategy = "one_device"
        return config

    return config_of


def reach(*arguments, report=None):
    raise Reached


def read(path):
    return json.loads(path.read_text())


# Data that changed


def write_images(root, names=("a/1", "a/2", "a/3", "b/1", "b/2", "b/3")):
    draw = np.random.default_rng(0)
    for name in names:
        path = root / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (8, 8), np.uint8)).save(path)


@pytest.fixture
def photos(configs, tmp_path, monkeypatch):
    """The config of a run in `tmp_path/run`, stopped where training begins."""
    write_images(tmp_path / "data")
    config = configs("folder")
    config.data.datapath = str(tmp_path / "data")
    config.data.image_size = (8, 8)
    config.data.test_fraction = 0.34
    config.model.retina.size = 4
    config.model.core.units = 4
    config.model.glimpse_network.update(
        {"glimpse_units": 4, "location_units": 4, "units": 4}
    )
    config.train.batch_size = config.eval.batch_size = 2
    monkeypatch.setattr(reports, "introduce", reach)
    lines = []
    with pytest.raises(Reached):
        experiment.run(config, tmp_path / "run", report=lines.append)
    assert lines[0].startswith(f"{tmp_path / 'data'}: 2 classes (a, b); pictures: ")
    assert not list(filter(is_of_the_run, lines))
    (tmp_path / "run" / "checkpoints" / "best").mkdir(parents=True)
    return config


def is_of_the_run(line):
    """Whether a line tells of more than what lies in the folder."""
    return "picture" not in line and not line.startswith("classes: ")


def resume(config, workdir, **options):
    """Returns what was said of the run until training would have begun."""
    lines = []
    with pytest.raises(Reached):
        experiment.run(config, workdir, report=lines.append, **options)
    return list(filter(is_of_the_run, lines))


@pytest.mark.parametrize("change", ["added", "removed", "renamed", "another size"])
def test_other_images_are_refused_unless_they_are_accepted(change, photos, tmp_path):
    workdir, moved = tmp_path / "run", tmp_path / "moved"
    shutil.move(tmp_path / "data", moved)
    if change == "added":
        write_images(moved, ["a/4"])
    elif change == "removed":
        (moved / "b" / "3.png").unlink()
    elif change == "renamed":
        (moved / "b" / "3.png").rename(moved / "b" / "0.png")
    else:
        with open(moved / "b" / "3.png", "ab") as file:
            file.write(b" ")
    before = {name: read(workdir / name) for name in ("config.json", "dataset.json")}
    photos.data.datapath = str(moved)
    with pytest.raises(InputError, match="6 images, .* then, [567] images, .* now"):
        experiment.run(photos, workdir)
    for name, content in before.items():
        assert read(workdir / name) == content
    (line,) = resume(photos, workdir, accept_changed_data=True)
    assert "changed since" in line and line.endswith("accepted")
    assert read(workdir / "config.json")["data"]["datapath"] == str(moved)
    after = read(workdir / "dataset.json")
    assert after["fingerprint"] in line
    assert after == {**before["dataset.json"], "fingerprint": after["fingerprint"]}
    assert resume(photos, workdir) == []


def test_the_same_images_elsewhere_are_the_same(photos, tmp_path):
    shutil.make_archive(tmp_path / "packed", "tar", tmp_path, "data")
    for path in ("packed.tar", "moved"):
        if path == "moved":
            shutil.move(tmp_path / "data", tmp_path / path)
        photos.data.datapath = str(tmp_path / path)
        assert resume(photos, tmp_path / "run") == []


@pytest.mark.parametrize(
    ("family", "place", "said"),
    [
        ("pham", (), "key 'core' that does not apply: PHAM of the family pham"),
        ("ram", ("retina",), "key 'core' that does not apply: Retina of"),
        ("ram", ("core",), "key 'old_core' that does not apply: RectifierCell"),
    ],
)
def test_a_key_that_is_left_over_in_the_model_is_named(configs, family, place, said):
    config = configs(family)
    section = config.model
    for name in place:
        section = section[name]
    with section.unlocked():
        section["core" if place != ("core",) else "old_core"] = 3
    with pytest.raises(InputError, match=said):
        experiment.build_network(config, (16, 16, 1), 5)


def test_a_relative_datapath_is_found_from_elsewhere(photos, tmp_path, monkeypatch):
    workdir, elsewhere = tmp_path / "other", tmp_path / "elsewhere"
    monkeypatch.chdir(tmp_path)
    photos.data.datapath = "data"
    resume(photos, workdir)
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    config, *_ = experiment.read_run(workdir)
    assert config.data.datapath == str(tmp_path / "data")
    assert read(workdir / "config.json")["data"]["datapath"] == "data"
    # Moved with all that is around it, it is beside them.
    shutil.move(tmp_path / "data", elsewhere / "data")
    config, *_ = experiment.read_run(workdir)
    assert config.data.datapath == "data"
    # Neither here nor there: what is said missing is the whole path.
    shutil.rmtree(elsewhere / "data")
    config, *_ = experiment.read_run(workdir)
    assert config.data.datapath == str(tmp_path / "data")


def test_a_whole_datapath_says_nothing_of_where_it_was_given(photos, tmp_path):
    assert "datapath_from" not in read(tmp_path / "run" / "dataset.json")


@pytest.mark.parametrize("accept", [False, True])
def test_other_classes_are_refused_whatever_is_accepted(accept, photos, tmp_path):
    (tmp_path / "data" / "a").rename(tmp_path / "data" / "c")
    with pytest.raises(InputError, match=r"2 classes \(b, c\) .* trained on 2 classes"):
        experiment.run(photos, tmp_path / "run", accept_changed_data=accept)


def test_a_run_without_a_fingerprint_goes_on_and_gets_one(photos, tmp_path):
    path = tmp_path / "run" / "dataset.json"
    old = read(path)
    fingerprint = old.pop("fingerprint")
    path.write_text(json.dumps(old))
    (line,) = resume(photos, tmp_path / "run")
    assert "keeps no fingerprint" in line and fingerprint in line
    assert read(path)["fingerprint"] == fingerprint
    assert resume(photos, tmp_path / "run") == []


def test_a_run_begun_under_another_rule_of_splits_is_refused(photos, tmp_path):
    path = tmp_path / "run" / "dataset.json"
    old = read(path)
    fingerprint, _, rule = old["fingerprint"].rpartition(", ")
    assert rule == "splits by path"
    path.write_text(json.dumps({**old, "fingerprint": fingerprint}))
    message = f"{fingerprint} then, {fingerprint}, splits by path now"
    with pytest.raises(InputError, match=message):
        experiment.run(photos, tmp_path / "run")


def test_what_a_killed_process_was_writing_is_cleared_away(photos, tmp_path):
    workdir = tmp_path / "run"
    left = [workdir / "metrics.csv.0a1b2c3d.writing", workdir / "my.writing"]
    left.append(workdir / "checkpoints" / "seconds.json.0a1b2c3d.writing")
    for path in left:
        path.write_text("")
    resume(photos, workdir)
    assert [path for path in left if path.exists()] == [workdir / "my.writing"]


def test_a_finished_run_says_so_and_stays_as_it_is(photos, tmp_path, monkeypatch):
    workdir, lines = tmp_path / "run", []
    (workdir / "results.json").write_text("{}")
    before = {path: path.read_bytes() for path in workdir.glob("*.json")}
    write_images(tmp_path / "data", ["a/4"])
    monkeypatch.setattr(reports, "report_results", lambda *arguments: None)
    for accept in (False, True):
        experiment.run(photos, workdir, accept_changed_data=accept, report=lines.append)
        assert sum("changed since" in line for line in lines) == 1
        assert {path: path.read_bytes() for path in before} == before
        lines.clear()


def test_data_may_not_change_between_phases_either(configs, tmp_path, monkeypatch):
    config = configs("pham")
    workdir = tmp_path / "run" / "first"
    dataset = data.synthetic(image_size=20, num_train=200)
    monkeypatch.setattr(runner, "load_data", lambda config, report: dataset)
    (workdir / "checkpoints" / "best").mkdir(parents=True)
    config_of_first = experiment.phase_config(config, FAMILIES["pham"].phase("first"))
    (workdir / "config.json").write_text(config_of_first.to_json())
    (workdir / "results.json").write_text("{}")
    kept = json.dumps({**experiment.describe_data(dataset), "fingerprint": OTHER})
    (workdir / "dataset.json").write_text(kept)
    with pytest.raises(InputError, match="accept_changed_data"):
        experiment.run(config, tmp_path / "run", phase="second")
    assert (workdir / "dataset.json").read_text() == kept


@pytest.mark.parametrize(
    "options",
    [{"num_train": 250}, {"data_seed": 1}, {"num_classes": 3}, {"seed": 1}],
)
def test_a_fingerprint_of_no_files_is_of_the_splits(options):
    one, same = data.synthetic(), data.synthetic()
    assert one.fingerprint == same.fingerprint
    assert data.synthetic(**options).fingerprint != one.fingerprint


def test_what_is_measured_on_other_data_is_said_in_one_line():
    restored = experiment.restore("packaged:ram_digits")
    restored = dataclasses.replace(restored, fingerprint=None)  # As older ones are.
    lines = []
    fingerprint = experiment.load_data_for(restored, report=lines.append).fingerprint
    restored = dataclasses.replace(restored, fingerprint=fingerprint)
    experiment.load_data_for(restored, report=lines.append)
    assert not lines
    restored = dataclasses.replace(restored, fingerprint=OTHER)
    experiment.load_data_for(restored, report=lines.append)
    (line,) = lines
    assert line.startswith("warning: ") and OTHER in line and fingerprint in line


def trained_on(config, class_names, fingerprint=None):
    return experiment.Trained(
        config, None, {}, class_names, (8, 8, 3), None, fingerprint
    )


def test_another_folder_is_read_to_be_measured(photos, tmp_path):
    write_images(tmp_path / "new", ["b/1", "b/2"])
    trained, lines = trained_on(photos, ("a", "b")), []
    new = tmp_path / "new"
    dataset = experiment.load_data_for(trained, new, lines.append)
    assert dataset.measured == "all" and dataset.test.labels.tolist() == [1, 1]
    assert lines[0] == f"{new}: 1 class (b); pictures: all 2"
    own = experiment.load_data(photos)
    trained = dataclasses.replace(trained, fingerprint=own.fingerprint)
    for path, split in ((None, None), (tmp_path / "data", None), (None, "all")):
        dataset = experiment.load_data_for(trained, path, lines.append, split)
        assert dataset.eval_size(split or "test") == (6 if split else len(own.test))


def test_all_is_of_folders(configs):
    trained = trained_on(configs("ram"), tuple("0123456789"))
    with pytest.raises(InputError, match="--split=all is for a folder"):
        experiment.load_data_for(trained, split="all")


# Configs of another age


@pytest.fixture
def of_age(configs, tmp_path, monkeypatch, capsys):
    """Returns a function: changes what a run's config.json was, and goes on with it.

    `go_on(kind, edit, **values)` sets dotted keys of the config today, writes it as the
    run's after `edit(content)`, and returns what resuming and restoring it say.
    """

    def go_on(kind, edit, values=()):
        config = configs(kind)
        with config.unlocked():
            for key, value in dict(values).items():
                *sections, name = key.split(".")
                section = config
                for each in sections:
                    section = section[each]
                with section.ignore_type():
                    section[name] = value
        family = FAMILIES[config.family]
        phase = family.phases[-1]
        folder = experiment.phase_folder(tmp_path, phase, family)
        whole = json.loads(experiment.phase_config(config, phase).to_json())
        content = json.loads(json.dumps(whole))
        edit(content)
        (folder / "checkpoints" / "best").mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(content))
        (folder / "dataset.json").write_text(
            json.dumps({"class_names": ["a", "b"], "image_shape": [8, 8, 1]})
        )
        resumed = []
        monkeypatch.setattr(runner, "load_data", reach)
        with pytest.raises(Reached):
            experiment.run(config, tmp_path, phase=phase.name, report=resumed.append)
        capsys.readouterr()
        read_back, *_ = experiment.read_run(folder)
        assert json.loads(read_back.to_json()) == whole
        return resumed, capsys.readouterr().err.splitlines()

    return go_on


def put(content, key, value):
    *sections, name = key.split(".")
    for each in sections:
        content = content[each]
    content[name] = value


def drop(content, key):
    *sections, name = key.split(".")
    for each in sections:
        content = content[each]
    return content.pop(name)


@pytest.mark.parametrize(("kind", "key"), ADDED)
def test_a_config_older_than_a_key_is_completed_and_says_so(kind, key, of_age):
    value = past_configs.ADDED[kind][key]

    def edit(content):
        drop(content, key)
        if kind in past_configs.RENAMED:
            content["family"] = kind

    for lines in of_age(kind, edit, {key: value}):
        (line,) = lines
        assert f"added {key}={value!r}" in line


# Families, keys that theirs had, and a value that did something else.
GONE = [
    ("fine_grained", "model.detach_emission", False),
    ("fine_grained", "model.regions", 3),
    ("pham", "model.published_norm", True),
    ("pham", "policy.sampling", "quasi"),
    ("ram", "train.count_last_action", True),
]


@pytest.mark.parametrize(("kind", "key", "other"), GONE)
def test_a_key_that_is_gone_leaves_where_it_said_what_is_done_now(
    kind, key, other, of_age
):
    value, _ = past_configs.REMOVED[key]
    for lines in of_age(kind, lambda old: put(old, key, value)):
        (line,) = lines
        assert f"passed over {key}={value!r}" in line


@pytest.mark.parametrize(("kind", "key", "other"), GONE)
def test_a_key_that_is_gone_is_refused_where_it_said_otherwise(
    kind, key, other, of_age
):
    _, last = past_configs.REMOVED[key]
    with pytest.raises(InputError, match=f"{key}={other!r}, .*use commit {last}"):
        of_age(kind, lambda old: put(old, key, other))


def test_a_family_that_is_a_choice_now_has_its_name(of_age):
    for lines in of_age("open_set_ram", lambda old: put(old, "family", "open_set_ram")):
        (line,) = lines
        assert "read the family open_set_ram as ram" in line


def test_a_key_that_was_never_without_is_refused_by_name(of_age):
    with pytest.raises(InputError, match=r"train.clip_norm was 'nothing', is 5\.0"):
        of_age("ram", lambda old: drop(old, "train.clip_norm"))


@pytest.mark.parametrize("key", past_configs.NEEDED)
def test_restoring_names_what_is_missing(key, configs, tmp_path):
    content = json.loads(configs("ram").to_json())
    drop(content, key)
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"lacks {key}:"):
        experiment.restore(tmp_path)


def test_what_is_written_today_is_whole(root, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(root / "configs")])
    lines = []
    for path in test_configs.FILES:
        config = __import__(path.stem).get_config()
        past_configs.complete(config, path, lines.append)
    for name in pretrained.names():
        folder = pathlib.Path(pretrained.locate(f"packaged:{name}"))
        past_configs.complete(read(folder / "config.json"), name, lines.append)
    assert not lines


# Which command and which code it was


def test_a_run_keeps_the_command_that_made_it():
    describe = experiment.describe_command
    argv = ["/home/me/ram/train.py", "--workdir=runs/a b"]
    assert describe(argv) == "python train.py '--workdir=runs/a b'"
    assert describe(["/usr/bin/ram-tf", "train"]) == "ram-tf train"


def test_the_environment_says_when_files_were_changed_since_the_commit(tmp_path):
    def git(*words):
        author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *author, *words], cwd=tmp_path, check=True)

    assert experiment.describe_environment(tmp_path)["dirty"] is None
    git("init", "-q")
    (tmp_path / "a.py").write_text("1")
    git("add", "a.py")
    git("commit", "-q", "-m", "a")
    (tmp_path / "new.py").write_text("1")  # Git does not know it.
    environment = experiment.describe_environment(tmp_path)
    assert environment["commit"] and environment["dirty"] is False
    (tmp_path / "a.py").write_text("2")
    assert experiment.describe_environment(tmp_path)["dirty"] is True
