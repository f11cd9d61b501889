import json
import types

from pipeline.cli import catalogue, list_verb


def test_every_name_and_every_cost_is_told():
    table = catalogue.read()
    said = list_verb.text(table)
    assert max(map(len, said.splitlines())) <= 100
    words = said.split()
    for key in ("models", "objectives", "sources", "rules"):
        assert {*table[key]} <= {*words}
    rows = {line.split()[0]: line.split() for line in said.splitlines() if line}
    for name, facts in table["configurations"].items():
        assert rows[name][1].startswith(f"{facts['size']}x{facts['size']}x")
        assert rows[name][2] == str(facts["exits"])
        assert (
            rows[name][5].replace(",", "") == f"{facts['madds'][-1] / 1e6:.2f}"
        )


def test_configurations_are_grouped_by_data_set_and_family():
    table = catalogue.read()
    lines = list_verb.text(table).split("exit:\n")[1].splitlines()[1:]
    found, data_set = [], None
    for line in filter(None, lines):
        if line.startswith("    "):
            facts = table["configurations"][line.split()[0]]
            assert facts["data_set"] == data_set
            found.append((data_set, facts["family"]))
        else:
            data_set = line.strip()
    runs = [each for i, each in enumerate(found) if each != found[i - 1]]
    assert len(runs) == len({*runs})


def test_as_json(capsys):
    list_verb.run(types.SimpleNamespace(json=True), [])
    assert json.loads(capsys.readouterr().out) == catalogue.read()
