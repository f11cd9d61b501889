"""Measures how far the networks of keras.applications get through the stages.

    PYTHONPATH=. python benchmarks/keras_applications.py FILE.csv [NETWORK ...]

It builds each network with two exits and weights drawn at random, and compares
its normal form with it. Rows are written as they come; those of other networks
stay as they are.
"""

import csv
import os
import sys

from tests.support import applications, normal_forms

COLUMNS = (
    "network",
    "input",
    "whole_or_reduced",
    "furthest_stage",
    "max_error",
    "exact",
    "float_operators",
)


def row(network):
    """Measures one network."""
    found = dict.fromkeys(COLUMNS, "")
    found |= {
        "network": network.name,
        "input": f"{network.size}x{network.size}x3",
        "whole_or_reduced": network.stands_in or "whole",
    }
    if network.stands_in:
        return found
    model = applications.build(network)
    given = applications.images(network, model)
    error, rounding, spread = normal_forms.error(model, given)
    print(network.name, f"{error:.1e} {rounding:.1e} {spread:.1e}", flush=True)
    stage = "normal form" if error < max(1e-5, 4 * rounding) else "model"
    return found | {"furthest_stage": stage, "max_error": f"{error:.1e}"}


def main(path, *names):
    """Measures the networks of these names, or all."""
    rows = {}
    if os.path.exists(path):
        with open(path, newline="") as file:
            rows = {each["network"]: each for each in csv.DictReader(file)}
    for network in applications.NETWORKS:
        if names and network.name not in names:
            continue
        rows[network.name] = row(network)
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            for each in applications.NETWORKS:
                if each.name not in rows:
                    continue
                done = rows[each.name]
                if each.stands_in in rows:
                    measured = rows[each.stands_in]
                    done = {**measured, **{k: v for k, v in done.items() if v}}
                writer.writerow(done)


if __name__ == "__main__":
    main(*sys.argv[1:])
