from pipeline.data import label_names


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
    assert label_names.alike([*names, "cafe\u0301"]) == [
        ["cat", "Cat"],
        ["sea lion", "sea_lion", "sealion"],
        ["caf\u00e9", "cafe\u0301"],
    ]
    assert label_names.alike(["1", "2", "10"]) == []
