"""The site builds without a warning, and its notebooks run."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_notebooks():
    assert len(NOTEBOOKS) >= 4


@notebooks
def test_a_notebook_holds_no_outputs(path):
    nbformat = pytest.importorskip("nbformat", reason="needs the extra docs")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code and notebook.cells[0].source.startswith("# ")
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []


@pytest.mark.slow
@notebooks
def test_a_notebook_runs(path, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="needs the extra docs")
    nbclient = pytest.importorskip("nbclient", reason="needs the extra docs")
    pytest.importorskip("ipykernel", reason="needs the extra docs")
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()  # Raises what a cell raises.
    pictures = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert pictures


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    for package in ("mkdocs", "mkdocstrings", "mkdocs_jupyter", "material"):
        pytest.importorskip(package, reason="needs the extra docs")
    command = ["mkdocs", "build", "--strict", "--config-file", "tools/mkdocs.yml"]
    # They run above, each by itself.
    variables = {**os.environ, "RAM_TF_RUN_NOTEBOOKS": "false"}
    done = subprocess.run(
        [sys.executable, "-m", *command, "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    layers = (tmp_path / "reference" / "layers" / "index.html").read_text()
    assert 'id="ram_tf.layers.GaussianLocation"' in layers
    assert "Call arguments" in layers
    page = (tmp_path / "one_page" / "index.html").read_text()
    assert "hybrid_loss" in page  # It shows the file.
    results = (tmp_path / "configs" / "index.html").read_text()
    assert "ram_mnist.py" in results
    assert (tmp_path / "configs" / "figures" / "ram_digits.png").exists()
