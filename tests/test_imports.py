"""Imports point one way, from the roots to the commands, and nothing points back."""

import ast
import subprocess
import sys

import pytest

from ram_tf.commands import __main__

LOW = ("errors", "random", "ops")
MIDDLE = (*LOW, "files", "locks", "processors", "pixels", "data", "models", "policies")
# Each part and all that it may import of ours.
ALLOWED = {
    "errors": (),
    "files": ("errors",),
    "locks": ("errors",),
    "processors": (),
    "random": (),
    "backend": ("errors",),
    "compilation": ("files",),
    "wiring": (),
    "pixels": ("errors",),
    "data": ("errors", "files", "locks", "pixels", "processors"),
    "ops": ("random",),
    "layers": LOW,
    "models": (*LOW, "pixels", "layers", "wiring"),
    "policies": (*LOW, "models.outputs", "models.rollout", "models.capabilities"),
    "objectives": (*LOW, "models.outputs"),
    "families": ("errors", "models", "policies", "objectives"),
    "training": (*LOW, "files", "data", "models", "families"),
    "evaluation": MIDDLE,
    "pictures": ("errors", "random"),
    "pretrained": ("errors", "files", "training"),
    "experiment": (
        *MIDDLE,
        "families",
        "training",
        "evaluation",
        "pictures",
        "pretrained",
    ),
    "studies": (
        *MIDDLE,
        "families",
        "training",
        "evaluation",
        "pictures",
        "pretrained",
        "experiment",
    ),
    "serving": (*MIDDLE, "training", "evaluation", "pictures", "experiment"),
    "benchmark": (*MIDDLE, "layers", "families", "training", "experiment", "serving"),
    "interchange": ("errors", "files", "models", "training", "experiment"),
    "commands": (
        *(
            "errors",
            "files",
            "backend",
            "compilation",
            "families",
            "pretrained",
            "experiment",
            "studies",
        ),
        *("serving", "benchmark", "interchange", "data.windows"),
    ),
}
MAY_SEE_A_CONFIG = {"experiment", "studies", "commands"}


def imported(path):
    """Yields the full names of all that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def our_modules(root):
    """Returns dotted name below `ram_tf` -> file."""
    files = sorted((root / "ram_tf").rglob("*.py"))
    names = [file.relative_to(root / "ram_tf").with_suffix("").parts for file in files]
    modules = {
        ".".join(name).removesuffix("__init__").rstrip("."): file
        for name, file in zip(names, files)
    }
    assert len(modules) > 30
    return modules


def is_part_of(name, part):
    return name == part or name.startswith(f"{part}.")


@pytest.mark.parametrize("part", ALLOWED)
def test_a_part_imports_only_what_lies_below_it(root, part):
    modules = {n: f for n, f in our_modules(root).items() if is_part_of(n, part)}
    assert modules
    for name, file in modules.items():
        for target in imported(file):
            if not is_part_of(target, "ram_tf"):
                continue
            target = target.removeprefix("ram_tf").lstrip(".")
            allowed = (part, *ALLOWED[part])
            assert any(is_part_of(target, other) for other in allowed), (
                f"{name} imports {target}"
            )


def test_a_command_imports_no_other(root):
    """Two of them would define one flag twice."""
    shared = {"ram_tf.commands.command_line", "ram_tf.commands.config_files"}
    for name, file in our_modules(root).items():
        if is_part_of(name, "commands"):
            found = {each for each in imported(file) if "ram_tf.commands" in each}
            assert found <= shared, name


def test_the_table_names_parts_that_exist(root):
    modules = our_modules(root)
    assert set(ALLOWED) == {name.split(".")[0] for name in modules if name}


def test_the_package_does_not_know_its_scripts_and_configs(root):
    outside = [p.stem for p in root.glob("*.py")] + ["configs", "tools", "tests"]
    outside += [path.stem for path in (root / "configs").glob("*.py")]
    assert {"train", "ram_digits"} <= set(outside)
    for name, file in our_modules(root).items():
        for target in imported(file):
            assert target.split(".")[0] not in outside, f"{name} imports {target}"


def test_configs_stop_at_the_top(root):
    seeing = {
        name
        for name, file in our_modules(root).items()
        if any(is_part_of(target, "ml_collections") for target in imported(file))
    }
    assert seeing
    assert {name.split(".")[0] for name in seeing} <= MAY_SEE_A_CONFIG


def test_scripts_leave_flags_out_of_the_package(root):
    with_flags = {
        name
        for name, file in our_modules(root).items()
        if any(is_part_of(target, "absl") for target in imported(file))
    }
    assert {name.split(".")[0] for name in with_flags} == {"commands"}


COMMANDS = ", ".join(
    f"ram_tf.commands.{name.replace('-', '_')}" for name in __main__.COMMANDS
)


@pytest.mark.parametrize(
    "module", ["ram_tf", "ram_tf.commands.__main__", "ram_tf.errors", COMMANDS]
)
def test_flags_are_parsed_before_tensorflow_is_imported(root, module):
    code = (
        f"import sys, {module}; "
        "print([m for m in ('tensorflow', 'keras', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_training_imports_no_matplotlib(root):
    """Drawing alone does. (Keras imports it too, if it is there.)"""
    modules = our_modules(root)
    for part in ("data", "models", "training", "evaluation", "experiment"):
        for name, file in modules.items():
            if is_part_of(name, part):
                body = ast.parse(file.read_text()).body
                found = {
                    getattr(node, "module", None) or node.names[0].name
                    for node in body
                    if isinstance(node, ast.Import | ast.ImportFrom)
                }
                assert not [each for each in found if "matplotlib" in each], name
                assert not [each for each in found if "pictures" in each], name
