"""How large a function may be: what is longer, or takes more, says why."""

import ast

import pytest

LONGEST, MOST = 60, 6


def functions(file):
    """Yields the functions of a file, with the line of a comment above or `None`."""
    source = file.read_text()
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            above = lines[first - 2].strip() if first > 1 else ""
            yield node, above.startswith("# ")


def length(node):
    """Lines of a function, without those of its docstring."""
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is not None:
        first = node.body[0]
        lines -= first.end_lineno - first.lineno + 1
    return lines


def parameters(node):
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [each.arg for each in given if each.arg not in ("self", "cls")]


def test_a_function_is_short_or_says_why_it_is_not(root):
    large, found = [], 0
    for file in sorted((root / "ram_tf").rglob("*.py")):
        for node, explained in functions(file):
            found += 1
            many = len(parameters(node)) > MOST and node.name != "__init__"
            if (many or length(node) > LONGEST) and not explained:
                large.append(f"{file.relative_to(root)}:{node.lineno} {node.name}")
    assert found > 500
    assert not large


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(a, *, b):\n    pass\n", (2, ["a", "b"], False)),
        ('# Why.\ndef f(self):\n    """Long.\n\n    Yes.\n    """\n', (1, [], True)),
        ("# Why.\n@d\ndef f(cls, a):\n    pass\n", (2, ["a"], True)),
    ],
)
def test_what_counts(source, expected, tmp_path):
    file = tmp_path / "file.py"
    file.write_text(source)
    ((node, explained),) = functions(file)
    assert (length(node), parameters(node), explained) == expected
