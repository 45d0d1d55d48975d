"""The program `ram-tf`: its first word names a command, which reads the others."""

import difflib
import importlib
import sys

from ram_tf.commands import command_line

# As they are typed; the module of a name has underscores.
COMMANDS = (
    "train",
    "evaluate",
    "predict",
    "visualize",
    "export",
    "tune",
    "ablate",
    "cross-validate",
    "benchmark",
    "serve-client",
    "import-checkpoint",
    "write-pyramid",
)
HELP = {"help", *command_line.HELP}


def main():
    """Runs `ram-tf`; returns its exit status, or leaves with that of the command."""
    name = sys.argv[1] if len(sys.argv) > 1 else "help"
    if name in HELP:
        print(overview())
        return 0
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(COMMANDS)}."
        print(f"ram-tf: error: no command {name!r}: {hint}", file=sys.stderr)
        return 2
    sys.argv[:] = [f"ram-tf {name}", *sys.argv[2:]]
    return command_line.run(load(name).COMMAND)


def load(name):
    """Imports the module of a command; no other may define its flags beside it."""
    return importlib.import_module(f"ram_tf.commands.{name.replace('-', '_')}")


def overview():
    """All commands, a line each."""
    width = max(map(len, COMMANDS)) + 2
    lines = [
        f"  {name:{width}}{load(name).__doc__.splitlines()[0]}" for name in COMMANDS
    ]
    return "\n".join(
        [
            "Hard visual attention: models that look at a few places of an image.",
            "",
            "  ram-tf COMMAND --FLAG=VALUE ...",
            "",
            *lines,
            "",
            "ram-tf COMMAND --help lists what a command takes.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
