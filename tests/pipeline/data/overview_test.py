from pipeline.data import overview


def manifest(classes=2, **changes):
    names = ["cat", "dog", *(f"class {n}" for n in range(2, classes))]
    kept = {
        "train": [20, 10, *range(2, classes)],
        "test": [4, *range(1, classes)],
    }
    return {
        "labels": names,
        "counts": {"train": 0, "validation": 0, "calibration": 0, "test": 0}
        | {split: sum(counts) for split, counts in kept.items()},
        "statistics": {
            split: {"classes": counts} for split, counts in kept.items()
        },
        "skipped": 3,
        "left_out": {
            "rejected": [1, *[0] * (classes - 1), 2],
            "dropped": [0, 5, *[0] * (classes - 2), 0],
        },
        "duplicates": {"copies": 6, "dropped": 5, "conflicting": 1},
        "conflicts": [["cat/1.jpg", "dog/9.jpg"]],
        **changes,
    }


def test_the_table_tells_what_became_of_everything():
    lines = overview.text(manifest()).splitlines()
    assert [line.split() for line in lines[1:5]] == [
        ["cat", "20", "4", "1", "0"],
        ["dog", "10", "1", "0", "5"],
        ["no", "class", "0", "0", "2", "0"],
        ["all", "30", "5", "3", "5"],
    ]
    assert lines[0].split()[:3] == ["class", "train", "test"]
    assert "Skipped: 3" in lines[5]
    assert "1 are in another class" in " ".join(lines[6:])


def test_a_manifest_of_less_facts_has_a_table_too():
    few = {"labels": ["a", "b"], "counts": {"train": 2}}
    few["statistics"] = {"train": {"classes": [1, 1]}}
    lines = overview.text(few).splitlines()
    assert [line.split() for line in lines] == [
        ["class", "train"],
        ["a", "1"],
        ["b", "1"],
        ["all", "2"],
    ]
    assert overview.warnings(few, 0) == []


def test_of_many_classes_the_smallest_and_largest_are_shown():
    lines = overview.text(manifest(1000)).splitlines()
    assert len(lines) < 30
    assert any(line.startswith("... ") for line in lines)
    assert any(line.startswith("class 999 ") for line in lines)
    assert lines[-4].startswith("no class ")
    assert lines[-3].startswith("all ")


def test_what_is_odd_is_warned_of():
    odd = manifest(labels=["Dog", "dog"])
    odd["statistics"]["test"]["classes"] = [4, 0]
    odd["counts"]["test"] = 4
    found = overview.warnings(odd, 50)
    for text in ("test split is tiny", "25.0 points", "case or blanks"):
        assert any(text in each for each in found)
    assert any("without images in test: 'dog'" in each for each in found)
    assert any("'cat/1.jpg' and 'dog/9.jpg'" in each for each in found)
    assert not any("train" in each for each in found)
    assert not any("tiny" in each for each in overview.warnings(odd, 8))
