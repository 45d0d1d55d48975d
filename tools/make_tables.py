"""Writes the tables of results, and the cards of the packaged models, from their data.

  python tools/make_tables.py [--check]

Each row of a table is a file in `configs/results/`; `tools/record_results.py` writes
one from a run. A table stands between `<!-- results: NAME -->` and
`<!-- end of results -->` in `configs/README.md`, `README.md` and the pages of `docs/`;
of NAME there are `main`, `short` and the keys of `TABLES`. With `--check` nothing is
written, and what is stale is an error.
"""

import json
import pathlib
import re

from absl import flags

from ram_tf.commands import command_line
from ram_tf.errors import InputError
from ram_tf.evaluation import words

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    flags.DEFINE_bool("check", False, "Write nothing; fail if something is stale.")


START, END = "<!-- results: {} -->", "<!-- end of results -->"
MAIN = (
    *("config", "parameters", "glimpses", "pixels seen", "10 averaged", "one sample"),
    *("mean policy", "controls, 10 averaged / one sample", "steps, training time"),
    *("published", "commit"),
)
SHORT = ("config", "glimpses", "pixels seen", "accuracy", "published")
# The tables whose rows are cells after a label; of the largest one of each column the
# best is bold, among the rows that compete.
TABLES = {
    "controls": ("", "10 averaged", "one sample"),
    "longer": ("weights", "1", "2", "4", "6", "10", "20", "50"),
    "variants": (
        "variant",
        "after the first epoch, validation, one sample",
        *("1", "2", "4", "6", "10", "20", "50"),
    ),
    "stopping": ("",) * 8,
    "gain_cifar10": ("policy", *"1234567"),
    "gain_digits": ("policy", *"1234567"),
}


def read_rows(folder):
    """Returns the content of every file of results, in the order of their tables."""
    rows = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return sorted(rows, key=lambda row: row["place"] or 0)


def render(columns, rows):
    """Writes a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        re.sub(r"(?<=\|)\s+(?=\|)", " ", f"| {' | '.join(cells)} |") for cells in lines
    )


def make_table(name, rows):
    """Writes the table of that name."""
    chosen = [row for row in rows if row["table"] == name]
    if name == "main":
        return render(MAIN, map(main_cells, chosen))
    if name == "short":
        chosen = [row for row in rows if row["table"] == "main"]
        return render(SHORT, map(short_cells, chosen))
    if name not in TABLES:
        known = ", ".join(("main", "short", *TABLES))
        raise InputError(f"there is no table {name!r}: expected one of {known}.")
    columns = [cells_with_best(column) for column in zip(*map(competing, chosen))]
    return render(
        TABLES[name],
        [[row["label"], *cells] for row, cells in zip(chosen, zip(*columns))],
    )


def competing(row):
    """Yields (cell, its number or `None` if it is not compared)."""
    for cell in row["cells"]:
        number = re.match(r"[\d.]+", cell or "") if row["competes"] else None
        yield cell or "", float(number[0]) if number else None


def cells_with_best(column):
    """The cells of a column, the best in bold unless all that compete are equal."""
    numbers = [number for _, number in column if number is not None]
    best = max(numbers, default=None) if len(set(numbers)) > 1 else None
    for cell, number in column:
        is_best = number is not None and number == best
        # What is in bold is the figure, without its unit.
        yield re.sub(r"^(.*?)( %)?$", r"**\1\2**", cell) if is_best else cell


def percent(measured, decimals=2):
    """Writes `99.36 ± 0.07 %`."""
    error = measured.get("standard_error")
    error = "" if error is None else f" ± {error:.{decimals}f}"
    return f"{measured['mean']:.{decimals}f}{error} %"


def main_cells(row):
    """The cells of a row of the main table."""
    accuracy, controls, name = row["accuracy"], row["controls"], row["config"]
    name = pathlib.Path(name).name
    random, center = controls["random"], controls["center"]
    mark = row["marks"]["commit"]
    return [
        f"[`{name}`]({name})",
        f"{row['parameters']:,}",
        f"{row['glimpses']} of {row['glimpse']}",
        f"{row['pixels_seen']} %",
        ten_averaged(row),
        percent(accuracy["one_sample"]),
        percent(accuracy["mean_policy"]),
        f"random {random['ten_averaged']:.2f} / {random['one_sample']:.2f} %; "
        f"centre {center['ten_averaged']:.2f} %",
        f"{row['steps']:,}; {training_time(row)}",
        published(row),
        f"{row['commit'] or '-'}{f' {mark}' if mark else ''}",
    ]


def short_cells(row):
    """The cells of a row of the short table, for a page outside of `configs/`."""
    name = row["config"]
    return [
        f"`{pathlib.Path(name).stem}`",
        f"{row['glimpses']} of {row['glimpse']}",
        f"{row['pixels_seen']} %",
        percent(row["accuracy"]["ten_averaged"]),
        published(row),
    ]


def best_of(row):
    """The best accuracy of a row's figures and of the published ones."""
    ours = [measured["mean"] for measured in row["accuracy"].values()]
    controls = [value for each in row["controls"].values() for value in each.values()]
    theirs = [float(each["accuracy"]) for each in row["published"]]
    return max([*ours, *controls, *theirs])


def ten_averaged(row):
    """The accuracy of ten samples averaged, and what is known of its error."""
    measured, seeds = row["accuracy"]["ten_averaged"], row["seeds"]
    text = percent(measured)
    if measured["mean"] == best_of(row):
        text = f"**{text}**"
    known = [f"error {100 - measured['mean']:.2f}"]
    spread, binomial = measured["evaluation_seeds"], measured["binomial"]
    if measured["training_seeds"] is not None:
        known.append(
            f"spread of {seeds['training']} training seeds "
            f"{measured['training_seeds']:.2f}, binomial of one {binomial:.2f}"
        )
        known.append("the rest of the first")
    elif seeds["evaluation"] == 1:
        known = ["1 evaluation seed"]
    elif spread is not None:
        known.append(f"seeds {spread:.2f}")
        if binomial is not None:
            known[-1] += f", binomial {binomial:.2f}"
    text += f" ({'; '.join(known)})"
    if row["open_set"] is not None:
        known, unknown = row["open_set"]["known"], row["open_set"]["unknown"]
        text += f": known {known:.2f}, unknown {unknown:.2f} %"
    if row["marks"]["accuracy"]:
        text += f" {row['marks']['accuracy']}"
    return text + (row["remarks"]["accuracy"] or "")


def training_time(row):
    """How long training took, and on what."""
    hardware = row["hardware"] or ""
    between = "" if not hardware else " " if hardware.startswith("on ") else ", "
    return f"{row['seconds']:,} s{between}{hardware}{row['remarks']['seconds'] or ''}"


def published(row):
    """What others have published, the best in bold where none of ours is above it."""
    found = []
    for each in row["published"]:
        text = f"{each['accuracy']} %"
        if float(each["accuracy"]) == best_of(row):
            text = f"**{text}**"
        found.append(f"{text} ({each['source']})")
    return "; ".join(found)


def fill(text, rows):
    """Puts the tables between the markers of a page; returns the page."""

    def table(found):
        made = make_table(found[1], rows)
        return f"{START.format(found[1])}\n\n{made}\n\n{END}"

    pattern = START.format(r"(\w+)") + r"\n.*?" + END
    return re.sub(pattern, table, text, flags=re.DOTALL)


def describe(row):
    """What `card.json` says of a packaged model: see `ram_tf.pretrained.card`."""
    measured = row["evaluation"] or row
    return {
        "description": row["description"],
        "config": row["config"],
        "glimpses": row["glimpses"],
        "parameters": row["parameters"],
        "scores": {
            kind: {"accuracy": each["mean"], "standard_error": each["standard_error"]}
            for kind, each in row["accuracy"].items()
            if each is not None
        },
        "num_examples": row["num_examples"],
        "command": measured["command"],
        "commit": measured["commit"],
    }


# What a score is of, in words.
SCORES = {
    "ten_averaged": "ten sampled paths averaged",
    "one_sample": "one sampled path",
    "mean_policy": "the mean policy, as `classify` looks",
    "gain": "information gain, as `classify` looks",
}


def card(row, dataset):
    """Writes the page of a packaged model."""
    known, name = describe(row), row["preset"]
    shape = words.describe_shape(dataset["image_shape"])
    in_memory = None not in dataset["image_shape"]
    use = [
        "```python",
        "import ram_tf",
        "",
        f'model = ram_tf.{row["model"]}.from_preset("{name}")',
        "answers = model.classify(images)",
        "```",
    ]
    if not in_memory:
        use = ["```sh", f"ram-tf predict --workdir=packaged:{name} FILE", "```"]
    # What was measured without an error was rounded to one digit.
    scores = [
        (percent(each, 1 if each["standard_error"] is None else 2), SCORES[kind])
        for kind, each in row["accuracy"].items()
        if each is not None
    ]
    facts = {
        "test accuracy": "<br>".join(f"{score}, {words}" for score, words in scores),
        "test images": known["num_examples"],
        "looks": known["glimpses"],
        "images": f"{shape}, floats in [0, 1] or bytes" if in_memory else shape,
        "classes": ", ".join(dataset["class_names"]),
        "parameters": f"{known['parameters']:,}",
        "trained by": code(row["command"], row["commit"]),
        "measured by": code(known["command"], known["commit"]),
    }
    table = [f"| {key} | {value} |" for key, value in facts.items() if value]
    return "\n".join(
        [
            f"# {name}",
            "",
            known["description"],
            "",
            *use,
            "",
            "| | |",
            "| --- | --- |",
            *table,
            "",
            "Written by `tools/make_tables.py`.",
            "",
        ]
    )


def code(command, commit):
    """Writes a command and its commit, as far as they are known."""
    if command is None:
        return None
    return f"`{command}`" + (f", commit {commit}" if commit else "")


def contents(root):
    """Returns what every generated file should hold, path -> text."""
    rows = read_rows(root / "configs" / "results")
    pages = [root / "configs" / "README.md", root / "README.md"]
    pages += sorted((root / "docs").rglob("*.md"))
    made = {page: fill(page.read_text(), rows) for page in pages if page.exists()}
    for row in rows:
        if row.get("preset") is None:
            continue
        folder = root / "ram_tf" / "pretrained" / row["preset"]
        dataset = json.loads((folder / "dataset.json").read_text())
        made[folder / "README.md"] = card(row, dataset)
        made[folder / "card.json"] = (
            json.dumps(describe(row), indent=1, ensure_ascii=False) + "\n"
        )
    return made


def stale(root):
    """Returns the generated files that do not hold what they should, path -> text."""
    return {
        path: text
        for path, text in contents(root).items()
        if not path.exists() or path.read_text() != text
    }


def main(arguments):
    changed = stale(ROOT)
    names = ", ".join(str(path.relative_to(ROOT)) for path in changed)
    if FLAGS.check and changed:
        raise InputError(f"{names} are stale: run python tools/make_tables.py.")
    for path, text in changed.items():
        path.write_text(text)
    print(f"wrote {names}" if changed else "nothing has changed")


if __name__ == "__main__":
    command_line.run(command_line.Command(main, define_flags))
