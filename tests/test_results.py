"""Results are data, and the tables and cards say what the data say."""

import importlib.util
import json
import re
import subprocess
import sys

import pytest
from absl import flags

from ram_tf import pretrained
from ram_tf.errors import InputError
from tests.conftest import ROOT

FOLDER = ROOT / "configs" / "results"
FILES = sorted(FOLDER.glob("*.json"))


def tool(name):
    """The names of a command, without its flags: another one has the same."""
    before = set(flags.FLAGS)
    path = ROOT / "tools" / f"{name}.py"
    specification = importlib.util.spec_from_file_location(f"tools_{name}", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    for flag in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, flag)
    return module


@pytest.fixture(scope="module")
def tables():
    return tool("make_tables")


@pytest.fixture(scope="module")
def recorder():
    return tool("record_results")


def test_no_table_and_no_card_is_stale(tables):
    stale = [str(path.relative_to(ROOT)) for path in tables.stale(ROOT)]
    assert stale == [], "run python tools/make_tables.py"


def test_every_packaged_model_has_a_card_with_its_scores():
    for name in pretrained.names():
        assert (
            f"# {name}\n"
            in (pretrained.locate(f"packaged:{name}") / "README.md").read_text()
        )
        assert pretrained.card(name)["scores"]


def test_every_row_stands_in_one_table_at_a_place_of_its_own(tables):
    rows = [json.loads(path.read_text()) for path in FILES]
    places = [(row["table"], row["place"]) for row in rows if row["table"]]
    assert len(places) == len(set(places)) > 30
    page = (ROOT / "configs" / "README.md").read_text()
    named = re.findall(r"<!-- results: (\w+) -->", page)
    assert {table for table, _ in places} == set(named) == {"main", *tables.TABLES}
    for row in rows:
        if row["config"] is not None:
            assert (ROOT / row["config"]).exists()


def test_a_changed_figure_makes_its_tables_stale(tables, tmp_path):
    rows = tables.read_rows(FOLDER)
    page = (ROOT / "configs" / "README.md").read_text()
    assert tables.fill(page, rows) == page
    (row,) = [row for row in rows if row["config"] == "configs/ram_mnist_4.py"]
    row["accuracy"]["ten_averaged"]["mean"] = 98.5
    changed = tables.fill(page, rows)
    assert "| 98.50 % (error 1.50; seeds 0.05, binomial 0.09) |" in changed
    assert "**98.93 %** (TensorFlow version)" in changed


def test_a_short_table_is_there_for_other_pages(tables):
    page = "before\n\n<!-- results: short -->\n<!-- end of results -->\nafter\n"
    filled = tables.fill(page, tables.read_rows(FOLDER))
    assert filled.startswith("before\n") and filled.endswith("-->\nafter\n")
    assert "| `ram_mnist` | 6 of 8x8 x1 | 24 % | 99.36 ± 0.07 % | 98.71 %" in filled
    assert tables.fill(filled, tables.read_rows(FOLDER)) == filled


def test_an_unknown_table_is_refused_with_the_known_ones(tables):
    with pytest.raises(InputError, match="no table 'best': expected one of main"):
        tables.fill("<!-- results: best -->\n<!-- end of results -->\n", [])


def measured(*values, error=None):
    errors = None if error is None else [0.0, error]
    return {"mean": list(values), "std": [0.0, 0.0012], "standard_error": errors}


def write_run(workdir, config, **more):
    """Writes what a finished run leaves, with figures made up for this test."""
    policy = {
        "accuracy": measured(0.4, 0.91234, error=0.00345),
        "accuracy_one_sample": measured(0.3, 0.85, error=0.004),
        "statistics": {"coverage": 0.2351},
    }
    results = {
        "test": {"accuracy": 0.91234},
        "comparison": {
            "policies": dict.fromkeys(("learned", "mean", "random", "center"), policy),
            "mc_samples": 10,
            "seeds": 3,
            "num_examples": 10_000,
        },
        "train_seconds": 61.7,
        "steps": 3000,
        "parameters": 250_509,
        "environment": {"commit": "abc1234", "dirty": False, "tensorflow": "2.21.0"},
        **more,
    }
    workdir.mkdir()
    (workdir / "results.json").write_text(json.dumps(results))
    (workdir / "config.json").write_text(json.dumps(config))
    return workdir


@pytest.fixture
def config(understand):
    config = json.loads(json.dumps(understand().to_dict()))
    config["data"]["datapath"] = "/somewhere/else"
    return config


def test_a_run_becomes_a_row_of_the_table(recorder, tables, config, tmp_path):
    workdir = write_run(tmp_path / "run", config)
    path = ROOT / "configs" / "ram_digits.py"
    arguments = path, "ram_digits", None, "on one core", None, tmp_path
    output = recorder.record(workdir, *arguments)
    row = json.loads(output.read_text())
    assert row["command"] == "python train.py --config=configs/ram_digits.py"
    assert (row["model"], row["commit"], row["place"]) == ("RAM", "abc1234", 1)
    assert "somewhere" not in output.read_text()
    cells = tables.main_cells(row)
    assert cells[1:7] == [
        "250,509",
        "6 of 8x8 x2",
        "24 %",
        "**91.23 ± 0.34 %** (error 8.77; seeds 0.12)",
        "85.00 ± 0.40 %",
        "91.23 ± 0.34 %",
    ]
    assert cells[8:] == ["3,000; 62 s on one core", "", "abc1234"]
    row["published"] = [{"accuracy": "92.3", "source": "somebody"}]
    output.write_text(json.dumps(row | {"place": 7}))
    again = json.loads(recorder.record(workdir, *arguments).read_text())
    assert again == row | {"place": 7}  # What a person wrote stays.


def test_a_changed_config_needs_the_command_that_trained_it(recorder, config, tmp_path):
    config["train"]["epochs"] = 1
    workdir = write_run(tmp_path / "run", config)
    path = ROOT / "configs" / "ram_digits.py"
    with pytest.raises(InputError, match="see train.: give what trained it"):
        recorder.record(workdir, path, "mine", None, None, None, tmp_path)
    command = "python train.py --epochs=1"
    output = recorder.record(workdir, path, "mine", command, None, None, tmp_path)
    row = json.loads(output.read_text())
    assert (row["command"], row["hardware"]) == (command, None)


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        (
            "python train.py --datapath=/home/me/x --config.train.epochs=1",
            "python train.py --datapath=DIR --config.train.epochs=1",
        ),
        (
            "ram-tf train --workdir '/tmp/a b' --datapath /home/me/x --lr=1e-3",
            "ram-tf train --datapath=DIR --lr=1e-3",
        ),
    ],
)
def test_a_changed_config_has_the_command_that_its_run_kept(
    recorder, config, tmp_path, kept, shown
):
    config["train"]["epochs"] = 1
    workdir = write_run(tmp_path / "run", config, command=kept)
    path = ROOT / "configs" / "ram_digits.py"
    output = recorder.record(workdir, path, "mine", None, None, None, tmp_path)
    assert json.loads(output.read_text())["command"] == shown


@pytest.mark.slow
def test_the_command_needs_no_config_where_the_workdir_has_its_name(config, tmp_path):
    """In a process of its own, as it is used; nothing is written: it was not tested."""
    workdir = write_run(tmp_path / "ram_digits", config)
    (workdir / "results.json").write_text(json.dumps({"validation": {}}))
    result = subprocess.run(
        [sys.executable, "tools/record_results.py", f"--workdir={workdir}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert "was not tested on test images" in result.stderr, result.stderr


def test_an_unfinished_run_is_refused(recorder, tmp_path):
    path = ROOT / "configs" / "ram_digits.py"
    with pytest.raises(InputError, match="folder of a run"):
        recorder.record(tmp_path, path, "mine", None, None, None, tmp_path)
