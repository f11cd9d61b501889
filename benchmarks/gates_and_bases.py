"""Collects what finished working directories have of accuracy and cost.

    python benchmarks/gates_and_bases.py FILE.csv WORKDIR...

One row per exit and one per policy of a bundle; of networks with gates with the
multiply-adds that they leave to do. What a directory has not come to is empty.
"""

import argparse
import csv
import json
import pathlib

_COLUMNS = (
    "network",
    "target",
    "gate_spread",
    "bases",
    "epochs",
    "started_from",
    "seed",
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
    parser.add_argument("workdirs", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    rows = [row for each in arguments.workdirs for row in _rows(each)]
    with arguments.output.open("w", newline="") as file:
        table = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _rows(workdir):
    config = json.loads((workdir / "config.json").read_text())
    metrics = json.loads((workdir / "metrics.json").read_text())
    train = config["train"]
    start = train["initial_weights"]
    common = {
        "network": config["name"],
        "target": train["objective_arguments"].get("target", ""),
        "gate_spread": config["model"]["arguments"].get("gate_spread", ""),
        "bases": config["model"]["arguments"].get("bases", ""),
        "epochs": train["epochs"],
        "started_from": _network(start) if start else "",
        "seed": config["seed"],
    }
    for row in metrics["exits"]:
        dynamic = row.get("dynamic_madds", {})
        yield {
            **common,
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
                **common,
                "exit": f"{row['policy']} {row['target']:g}",
                "int8": row["accuracy"],
                "mean_madds_int8": row["mean_madds"],
            }


def _network(model):
    """Of the working directory that has a model, the network and its epochs."""
    directory = pathlib.Path(model).parent.parent
    config = json.loads((directory / "config.json").read_text())
    return f"{config['name']}, {config['train']['epochs']} epochs"


if __name__ == "__main__":
    main()
