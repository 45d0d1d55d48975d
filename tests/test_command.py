"""How a command line is read before its flags are parsed."""

import pytest

from ram_tf import command


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
    assert command.flag_values(["train.py", *words]) == expected
