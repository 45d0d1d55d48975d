"""Writes a run's final test as a row of the tables of results.

  python tools/record_results.py --workdir=runs/ram_mnist --hardware="on one core"

The row is `configs/results/NAME.json`, NAME being that of the config file, or of
`--name`. What a person has written into an earlier row of that name stays: what others
have published, and its place. What neither the run nor the command line says is null.
Then `tools/make_tables.py` writes the tables.
"""

import ast
import json
import pathlib
import runpy
import shlex
import sys

from absl import flags

from ram_tf.commands import command_line
from ram_tf.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLAGS = flags.FLAGS


def define_flags():
    """Defines the flags of this command."""
    command_line.define_path(
        "workdir", None, "Folder of a finished run.", required=True
    )
    flags.DEFINE_string("config", None, "Its config; default the workdir's name.")
    flags.DEFINE_string("name", None, "Name of the row; default the config's.")
    flags.DEFINE_string("command", None, "What trained it; default what the run kept.")
    flags.DEFINE_string("hardware", None, "What it was trained on, in words.")
    flags.DEFINE_string("preset", None, "The packaged model of its weights.")


def make_row(results, trained, **known):
    """Turns what a run has measured into a row.

    Args:
        results: Content of its `results.json`.
        trained: Content of its `config.json`.
        **known: Further entries of the row, as they are.
    """
    compared = results["comparison"]
    policies, samples = compared["policies"], compared["mc_samples"]
    averaged = {
        **measure(policies["learned"]["accuracy"]),
        "evaluation_seeds": percent(policies["learned"]["accuracy"]["std"]),
        "binomial": None,
        "training_seeds": None,
    }
    accuracy = {"ten_averaged" if samples == 10 else f"averaged_{samples}": averaged}
    if samples == 1:  # One sample is what is averaged.
        accuracy = {}
    accuracy["one_sample"] = measure(policies["learned"]["accuracy_one_sample"])
    coverage = None
    if "mean" in policies:
        accuracy["mean_policy"] = measure(policies["mean"]["accuracy"])
        coverage = policies["mean"]["statistics"]["coverage"]
    controls = {
        name: {
            "ten_averaged": percent(policies[name]["accuracy"]["mean"]),
            "one_sample": percent(policies[name]["accuracy_one_sample"]["mean"]),
        }
        for name in ("random", "center")
        if name in policies
    }
    # A row of the main table has a cell in each of its columns.
    whole = samples == 10 and len(controls) == 2 and "mean" in policies
    environment = dict(results["environment"])
    retina = trained["model"].get("retina")
    return {
        "table": "main" if whole else None,
        "commit": environment.pop("commit"),
        "environment": environment,
        "seeds": {"training": 1, "evaluation": compared["seeds"]},
        "parameters": results["parameters"],
        "glimpses": trained["train"]["num_glimpses"],
        "glimpse": retina and "{size}x{size} x{num_scales}".format(**retina),
        "pixels_seen": coverage and round(100 * coverage),
        "accuracy": accuracy,
        "controls": controls,
        "num_examples": compared["num_examples"],
        "steps": results["steps"],
        "seconds": round(results["train_seconds"]),
        **known,
    }


def percent(values):
    """The last of a list of shares, in %, or `None` if there is none."""
    value = None if values is None else values[-1]
    return None if value is None else round(100 * value, 2)


def measure(measured):
    """The mean of a measure after the last glimpse and its standard error, in %."""
    return {
        "mean": percent(measured["mean"]),
        "standard_error": percent(measured["standard_error"]),
    }


def command_of(config, path, recorded):
    """Returns what trained a run: a config file as it is, or what the run has kept.

    Args:
        config: Content of the run's `config.json`.
        path: Path of the config file.
        recorded: The command line in its `results.json`, or `None`: an older run's.
    """
    sys.path.append(str(path.parent))
    own = json.loads(json.dumps(runpy.run_path(str(path))["get_config"]().to_dict()))
    for each in (own, config):
        each["data"] = {**each["data"], "datapath": None}
    if own != config and recorded:
        return anywhere(recorded)
    if own != config:
        keys = sorted(key for key in own if own[key] != config.get(key))
        raise InputError(
            f"the run's config is not that of {path.name} (see {', '.join(keys)}): "
            "give what trained it as --command."
        )
    no_files = own["data"]["name"] in ("digits", "scaled_digits")
    datapath = "" if no_files else " --datapath=DIR"
    return f"python train.py --config=configs/{path.name}{datapath}"


def anywhere(command):
    """Returns a command line without the paths of the machine that it ran on."""
    words, kept = iter(shlex.split(command)), []
    for word in words:
        name, equals, _ = word.partition("=")
        option = name.lstrip("-")
        if option not in ("datapath", "config.data.datapath", "workdir", "logfolder"):
            kept.append(word)
            continue
        if not equals:
            next(words, None)
        if option.endswith("datapath"):
            kept.append("--datapath=DIR")
    return shlex.join(kept)


def record(workdir, path, name, command, hardware, preset, folder):
    """Writes the row of a run; returns the path of its file."""
    from ram_tf import experiment

    results = experiment.read_json(workdir / "results.json")
    config = experiment.read_json(workdir / "config.json")
    if "test" not in results:
        raise InputError(f"{workdir} was not tested on test images: no row of a table.")
    if not path.is_file():
        raise InputError(f"no config file {path}: name it with --config.")
    output = folder / f"{name}.json"
    rows = [json.loads(file.read_text()) for file in folder.glob("*.json")]
    before = json.loads(output.read_text()) if output.exists() else {}
    last = max((row["place"] or 0 for row in rows if row["table"] == "main"), default=0)
    kept = {
        "place": last + 1,
        "published": [],
        "evaluation": None,
        "open_set": None,
        "marks": {"accuracy": None, "commit": None},
        "remarks": {"accuracy": None, "seconds": None},
    }
    # The earlier row's marks and remarks were about the figures of another run.
    kept |= {key: before[key] for key in ("place", "published") if key in before}
    row = make_row(
        results,
        config,
        config=f"configs/{path.name}",
        description=" ".join(
            ast.get_docstring(ast.parse(path.read_text())).split("\n\n")[0].split()
        ),
        model=experiment.model_class(config["family"]).__name__,
        preset=preset,
        command=command or command_of(config, path, results.get("command")),
        hardware=hardware,
        **kept,
    )
    output.write_text(json.dumps(row, indent=1, ensure_ascii=False) + "\n")
    return output


def main(arguments):
    workdir = pathlib.Path(FLAGS.workdir)
    path = pathlib.Path(FLAGS.config or ROOT / "configs" / f"{workdir.name}.py")
    output = record(
        workdir,
        path,
        FLAGS.name or path.stem,
        FLAGS.command,
        FLAGS.hardware,
        FLAGS.preset,
        ROOT / "configs" / "results",
    )
    print(f"wrote {output}; python tools/make_tables.py writes the tables")


if __name__ == "__main__":
    command_line.run(command_line.Command(main, define_flags))
