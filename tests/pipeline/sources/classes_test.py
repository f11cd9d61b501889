from pipeline.sources import classes


def test_names_that_differ_by_case_or_blanks_are_alike():
    names = [
        "cat",
        "Cat",
        "sea lion",
        "sea_lion",
        "sealion",
        "dog",
        "caf\u00e9",
    ]
    assert classes.alike([*names, "cafe\u0301"]) == [
        ["cat", "Cat"],
        ["sea lion", "sea_lion", "sealion"],
        ["caf\u00e9", "cafe\u0301"],
    ]
    assert classes.alike(["1", "2", "10"]) == []
