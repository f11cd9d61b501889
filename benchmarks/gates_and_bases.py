"""Collects what working directories have of accuracy, cost and time.

    python benchmarks/gates_and_bases.py FILE.csv TIMES.csv WORKDIR...

FILE.csv has one row per exit and one per policy of a bundle; of networks with
gates with the multiply-adds that they leave to do. What a directory has not
come to is empty. TIMES.csv has the rows of the directories' benchmark.csv but
those of single segments, and where they were measured.
"""

import argparse
import csv
import json
import pathlib

_NETWORK = (
    "network",
    "target",
    "gate_spread",
    "bases",
    "epochs",
    "started_from",
    "seed",
)
_COLUMNS = (
    *_NETWORK,
    "exit",
    "float",
    "int8",
    "madds",
    "mean_madds_float",
    "std_madds_float",
    "mean_madds_int8",
    "min_madds_int8",
    "max_madds_int8",
    "params",
)


def main() -> None:
    """Reads the directories and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("times", type=pathlib.Path)
    parser.add_argument("workdirs", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    rows, times = [], []
    for workdir in arguments.workdirs:
        network = _network(workdir)
        rows += [network | row for row in _rows(workdir)]
        times += [network | row for row in _times(workdir)]
    _write(arguments.output, _COLUMNS, rows)
    measured = [key for key in (times or [{}])[0] if key not in _NETWORK]
    _write(arguments.times, (*_NETWORK, *measured), times)


def _write(path, columns, rows):
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _network(workdir):
    """Returns the values that a working directory's rows have in common."""
    config = json.loads((workdir / "config.json").read_text())
    train, model = config["train"], config["model"]["arguments"]
    start = train["initial_weights"]
    return {
        "network": config["name"],
        "target": train["objective_arguments"].get("target", ""),
        "gate_spread": model.get("gate_spread", ""),
        "bases": model.get("bases", ""),
        "epochs": train["epochs"],
        "started_from": _start(start) if start else "",
        "seed": config["seed"],
    }


def _times(workdir):
    directory = workdir / "benchmark"
    if not (directory / "benchmark.csv").exists():
        return
    facts = json.loads((directory / "benchmark.json").read_text())
    machine = {
        "processor": facts["measured"]["processor"],
        "ai_edge_litert": facts["versions"]["ai-edge-litert"],
        "finished": facts["measured"]["finished"],
    }
    with (directory / "benchmark.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if not row.pop("segment"):
                # Of another working directory that is its path: no fact.
                about = "" if "/" in row["about"] else row["about"]
                yield row | machine | {"about": about}


def _rows(workdir):
    metrics = json.loads((workdir / "metrics.json").read_text())
    for row in metrics["exits"]:
        dynamic = row.get("dynamic_madds", {})
        yield {
            "exit": row["exit"],
            "float": row["accuracy"]["float"],
            "int8": row["accuracy"].get("int8", ""),
            "madds": row["madds"],
            "params": row["params"],
            **{
                f"{statistic}_madds_{kind}": dynamic[kind][statistic]
                for kind in dynamic
                for statistic in ("mean", "std", "min", "max")
                if f"{statistic}_madds_{kind}" in _COLUMNS
            },
        }
    for row in metrics.get("routed", []):
        if row["bundle"] and len(metrics["exits"]) > 1:
            yield {
                "exit": f"{row['policy']} {row['target']:g}",
                "int8": row["accuracy"],
                "mean_madds_int8": row["mean_madds"],
            }


def _start(model):
    """Names the network and the epochs of the working directory of a model."""
    directory = pathlib.Path(model).parent.parent
    config = json.loads((directory / "config.json").read_text())
    return f"{config['name']}, {config['train']['epochs']} epochs"


if __name__ == "__main__":
    main()
