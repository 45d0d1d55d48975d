"""How a command line is read before its flags are parsed."""

import json
import sys

import pytest

import ram_tf
from ram_tf.commands import command_line
from ram_tf.errors import InputError


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--lr=0.1", "--T=4"], {"lr": "0.1", "T": "4"}),
        (["--lr", "0.1", "-T", "4"], {"lr": "0.1", "T": "4"}),
        # A switch has no value: the next word is a flag of its own.
        (["--overwrite", "--config=a.py"], {"overwrite": "", "config": "a.py"}),
        (["--config", "a.py", "--overwrite"], {"config": "a.py", "overwrite": ""}),
        (["images", "--output=x"], {"output": "x"}),
    ],
)
def test_flags_and_their_values(words, expected):
    assert command_line.flag_values(["train.py", *words]) == expected


@pytest.mark.parametrize("where", ["environment", "file"])
def test_another_backend_of_keras_is_refused_in_one_line(
    where, monkeypatch, tmp_path, capsys
):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if where == "environment":
        monkeypatch.setenv("KERAS_BACKEND", "jax")
    else:
        (tmp_path / "keras.json").write_text(json.dumps({"backend": "torch"}))
    monkeypatch.setattr(sys, "argv", ["train.py", "--no_such_flag"])
    with pytest.raises(SystemExit) as end:
        command_line.run(lambda arguments: None)
    line = capsys.readouterr().err
    assert end.value.code == 2 and line.count("\n") == 1
    assert "TensorFlow alone" in line and "KERAS_BACKEND=tensorflow" in line
    with pytest.raises(InputError, match="TensorFlow alone"):
        _ = ram_tf.RAM
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert ram_tf.RAM.__name__ == "RAM"
