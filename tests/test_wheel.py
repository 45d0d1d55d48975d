"""A wheel holds all that its commands need, and works where no checkout is."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE")
pytestmark = pytest.mark.slow


def run(*words, folder, **environment):
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, root):
    """The wheel's file, built beside a copy: an older build leaves files behind."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        shutil.copy(root / name, folder)
    for name in ("ram_tf", "configs"):
        shutil.copytree(root / name, folder / name)
    words = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", ".")
    run("-m", "pip", *words, folder=folder)
    (file,) = (folder / "dist").iterdir()
    return file


@pytest.fixture(scope="module")
def installed(wheel):
    """A folder that the wheel is installed into, without what it depends on."""
    folder = wheel.parent.with_name("installed")
    words = ("install", "--no-deps", "--no-index", "--target", folder, wheel)
    run("-m", "pip", *words, folder=wheel.parent)
    return folder


def test_the_wheel_holds_code_configs_and_weights_and_nothing_else(wheel, root):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    code = {str(file.relative_to(root)) for file in root.glob("ram_tf/**/*.py")}
    configs = {
        f"ram_tf/{file.relative_to(root)}"
        for pattern in ("*.py", "spaces/*.py", "variants/*.py")
        for file in (root / "configs").glob(pattern)
    }
    weights = {name for name in held if name.startswith("ram_tf/pretrained/")} - code
    assert {"config.json", "model.weights.h5"} <= {
        name.split("/")[-1] for name in weights
    }
    assert held == code | configs | weights


def test_its_commands_work_in_an_empty_folder(installed, tmp_path):
    program = installed / "bin" / "ram-tf"
    environment = {"PYTHONPATH": str(installed)}
    assert "ram-tf COMMAND" in run(program, folder=tmp_path, **environment)
    out = run(
        program,
        "train",
        "--config.train.epochs=1",
        "--config.train.steps_per_epoch=5",
        "--config.eval.max_examples=40",
        "--config.eval.policies=learned",
        "--config.runtime.xla=False",
        folder=tmp_path,
        **environment,
    )
    assert "wrote runs/ram_digits" in out
    results = json.loads((tmp_path / "runs/ram_digits/results.json").read_text())
    assert results["steps"] == 5 and results["environment"]["commit"] is None
    picture = tmp_path / "runs/ram_digits/figures/test_glimpses.png"
    words = ("predict", "--workdir=runs/ram_digits", picture)
    assert str(picture) in run(program, *words, folder=tmp_path, **environment)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]
