import csv
import json
import os
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data import image
from pipeline.sources import table, table_rows


def listed(source):
    return [item for p in source.find().pieces for item in source.items(p)]


def accepted(source):
    return {i.key: i for i in listed(source) if not i.reason}


def rejected(source):
    items = [item for item in listed(source) if item.reason]
    assert {(i.label, i.location, i.split) for i in items} <= {(-1, "", None)}
    return {item.key: item.reason for item in items}


def write(path, rows, columns=("path", "label")):
    """Writes rows in the format that the name of the file asks for."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        if path.suffix == ".jsonl":
            for row in rows:
                fields = dict(zip(columns, row, strict=False))
                file.write(json.dumps(fields) + "\n")
        else:
            dialect = "excel" if path.suffix == ".csv" else "excel-tab"
            writer = csv.writer(file, dialect)
            writer.writerows([columns, *rows])
    return str(path)


formats = pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])


@formats
def test_paths_and_labels(tmp_path, name):
    rows = [("a/1.jpg", "dog"), ('b, "2"\n.png', "cat"), ("ä.png", "dog")]
    source = table.Table(write(tmp_path / name, rows))
    found = source.find()
    assert (found.labels, found.images) == (("cat", "dog"), 3)
    assert found.splits == ()
    assert accepted(pickle.loads(pickle.dumps(source))) == {
        key: (key, found.labels.index(label), str(tmp_path / key), None, "")
        for key, label in rows
    }
    assert not rejected(source)


@formats
def test_columns_by_name_and_splits(tmp_path, name):
    rows = [
        ("1", "a", "train", "x"),
        ("2", "b", "", "x"),
        ("3", "a", "test", "x"),
        ("4", "b", "validation", "x"),
        ("5", "b", "Val", "x"),
        ("6", "b", "some", "x"),
    ]
    path = write(tmp_path / name, rows, ("file", "kind", "set", "more"))
    source = table.Table(path, "file", "kind", "set")
    assert source.find().splits == ("validation", "test")
    splits = {key: item.split for key, item in accepted(source).items()}
    assert splits == {
        "1": None,
        "2": None,
        "3": "test",
        "4": "validation",
        "5": "validation",
    }
    assert rejected(source) == {"6": "unknown split 'some'"}
    assert source.find().divided == 3
    unsplit = table.Table(path, "file", "kind")
    assert {i.split for i in accepted(unsplit).values()} == {None}
    assert unsplit.find().splits == ()


@formats
def test_repeated_rows_are_set_aside(tmp_path, name):
    rows = [("1", "a"), ("2", "b"), ("1", "a"), ("1", "b"), ("3", "b")]
    source = table.Table(write(tmp_path / name, rows))
    assert sorted(accepted(source)) == ["1", "2", "3"]
    first = 1 if name == "t.jsonl" else 2  # A CSV begins with a header.
    assert rejected(source) == {
        f"{name}:{first + 2}": "has the path of an earlier row: '1'",
        f"{name}:{first + 3}": "has the path of an earlier row: '1'",
    }


def test_rows_of_csv_that_cannot_be_used(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(
        b"\xef\xbb\xbfpath,label\r\n"
        b"1.jpg,a\r\n"
        b"\r\n"
        b"2.jpg\r\n"
        b"3.jpg,a,b\r\n"
        b",b\r\n"
        b"4.jpg,\r\n"
        b"\xff.jpg,a\r\n"
        b'"5.jpg"x,a\r\n'
        b"6.jpg,b\r\n"
        b'"never closed,b\r\n'
    )
    source = table.Table(str(path))
    assert sorted(accepted(source)) == ["1.jpg", "6.jpg"]
    reasons = rejected(source)
    assert reasons.pop("t.csv:9").startswith("cannot be read: ',' expected")
    assert reasons == {
        "t.csv:4": "1 values in 2 columns",
        "t.csv:5": "3 values in 2 columns",
        "t.csv:6": "no text in 'path'",
        "4.jpg": "no text or integer in 'label'",
        "t.csv:8": "cannot be read: not UTF-8",
        "t.csv:11": "cannot be read: unexpected end of data",
    }


def test_rows_of_json_lines_that_cannot_be_used(tmp_path):
    path = tmp_path / "t.jsonl"
    lines = [
        b'{"path": "1", "label": 10}',
        b'{"path": "2", "label": 9}',
        b"",
        b'{"path": "3"}',
        b'{"path": "4", "label": null}',
        b'{"path": "5", "label": true}',
        b'{"path": ["6"], "label": 9}',
        b'{"path": "\\ud800", "label": 9}',
        b'{"path": "a\\u0000b", "label": 9}',
        b'["7", 9]',
        b"{",
        b"[" * 100_000,
        b'{"path": "\xff", "label": 9}',
        b'{"path": "' + b"x" * (3 << 20) + b'", "label": 9}',
        b'{"path": "8", "label": 9}',
    ]
    path.write_bytes(b"\n".join(lines))
    source = table.Table(str(path))
    assert source.find().labels == ("9", "10")
    assert {k: i.label for k, i in accepted(source).items()} == {
        "1": 1,
        "2": 0,
        "8": 0,
    }
    reasons = rejected(source)
    assert len(reasons) == len(lines) - 4
    for key, reason in {
        "3": "no text or integer in 'label'",
        "4": "no text or integer in 'label'",
        "5": "no text or integer in 'label'",
        "t.jsonl:7": "no text in 'path'",
        "t.jsonl:8": "no text in 'path'",
        "t.jsonl:9": "no text in 'path'",
        "t.jsonl:10": "not a JSON object",
        "t.jsonl:13": "cannot be read: not UTF-8",
        "t.jsonl:14": "cannot be read: a line of more than 1 MiB",
    }.items():
        assert reasons[key] == reason
    for line in (11, 12):
        assert reasons[f"t.jsonl:{line}"].startswith("cannot be read: ")


def test_given_classes_give_the_labels(tmp_path):
    rows = [("1", "dog"), ("2", "cat"), ("3", "emu")]
    path = write(tmp_path / "t.csv", rows)
    source = table.Table(path, classes=["dog", "fox", "cat"])
    assert source.find().labels == ("dog", "fox", "cat")
    labels = {key: item.label for key, item in accepted(source).items()}
    assert labels == {"1": 0, "2": 2}
    assert rejected(source) == {"3": "unknown class 'emu'"}


# Values that need quotes, and lines that look like others.
_VALUES = st.text(st.sampled_from('ab,"\n\t é'), min_size=1, max_size=4)
_ROWS = st.lists(st.tuples(_VALUES, st.sampled_from("xyz")), min_size=1)


@given(rows=_ROWS, size=st.integers(1, 5), suffix=st.sampled_from("ctj"))
def test_items_do_not_depend_on_the_pieces(
    tmp_path_factory, rows, size, suffix
):
    suffix = {"c": ".csv", "t": ".tsv", "j": ".jsonl"}[suffix]
    path = tmp_path_factory.mktemp("table") / f"t{suffix}"
    rows += [("first", "x"), ("second", "y")]
    source = table.Table(write(path, rows))
    whole = listed(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "_PIECE", size)
        found = source.find()
        pieced = listed(source)
    assert len(found.pieces) == -(-len(rows) // size)
    assert pieced == whole
    assert len(whole) == found.images == len(rows)
    assert len({item.key for item in whole}) == len(rows)
    paths = {path for path, _ in rows}
    assert {item.key for item in whole if not item.reason} == paths
    for item in whole:
        if not item.reason:
            label = next(label for path, label in rows if path == item.key)
            assert source.find().labels[item.label] == label


def test_images_elsewhere(tmp_path, bucket):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1").write_bytes(b"one")
    (tmp_path / "2").write_bytes(b"two")
    bucket["bucket://b/3"] = b"three"
    rows = [
        ("1", "a"),
        (str(tmp_path / "2"), "b"),
        ("bucket://b/3", "b"),
        ("gone", "b"),
    ]
    path = write(tmp_path / "t.csv", rows)
    source = table.Table(path, root=str(tmp_path / "images"))
    items = [accepted(source)[path] for path, _ in rows]
    loaded = [source.load(item.location) for item in items[:3]]
    assert loaded == [b"one", b"two", b"three"]
    with pytest.raises(image.BadImage, match="cannot be read: No such file"):
        source.load(items[3].location)


@formats
def test_a_table_on_an_object_store(tmp_path, bucket, name, monkeypatch):
    rows = [(f"{n}.jpg", "ab"[n % 2]) for n in range(10)]
    local = table.Table(write(tmp_path / name, rows))
    bucket[f"bucket://b/x/{name}"] = (tmp_path / name).read_bytes()
    bucket["bucket://b/x/3.jpg"] = b"jpeg"
    remote = table.Table(f"bucket://b/x/{name}")
    monkeypatch.setattr(table, "_PIECE", 3)
    assert remote.find() == local.find()
    assert [i.key for i in listed(remote)] == [i.key for i in listed(local)]
    assert remote.load(accepted(remote)["3.jpg"].location) == b"jpeg"
    before = remote.state()
    bucket["bucket://b/x/4.jpg"] = b"jpeg"
    assert remote.state() != before


def test_the_state_sees_the_table_and_the_images(tmp_path):
    (tmp_path / "1").write_bytes(b"one")
    (tmp_path / "unrelated").write_bytes(b"")
    path = write(tmp_path / "t.csv", [("1", "a"), ("2", "b")])
    source = table.Table(path)
    states = [source.state(), table.Table(path, classes=("a", "b")).state()]
    (tmp_path / "unrelated").write_bytes(b"more")
    assert source.state() == states[0]
    (tmp_path / "1").write_bytes(b"changed")
    states.append(source.state())
    (tmp_path / "2").write_bytes(b"")
    states.append(source.state())
    write(tmp_path / "t.csv", [("1", "a"), ("2", "a"), ("3", "b")])
    os.utime(path, ns=(0, 0))
    states.append(source.state())
    assert len(set(states)) == len(states)


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("t.csv", b"", {}, "`image`"),
        ("t.csv", b"path,kind\n1,a\n", {}, "`label`"),
        ("t.csv", b"path,label\n1,a\n", {"split": "s"}, "`split`"),
        ("t.csv", b"path;label\n1;a\n", {}, "`image`"),
        ("t.csv", b"\xff\xfep\0a\0", {}, "must be a table in UTF-8"),
        ("t.csv", b"path,label\n", {}, "at least two classes"),
        ("t.csv", b"path,label\n1,a\n2,a\n", {}, "at least two classes"),
        (
            "t.csv",
            b"path,label,label\n1,a,b\n",
            {},
            "`label` must be one column.*columns 2 and 3",
        ),
        ("t.csv", b'path,"label\n1,a\n2,"b\n', {}, "first row is"),
        ("t.jsonl", b'[{"path": "1"}]', {}, "one JSON array"),
        ("t.jsonl", b'[\n  {"path": "1"},\n', {}, "one JSON array"),
        ("t.jsonl", b"", {}, "at least two classes"),
        ("t.jsonl", b'{"a": "b"}\n', {}, "at least two classes"),
        (
            "t.csv",
            b"path,label\n1,a\n2,b\n",
            {"classes": ("a", "c")},
            "at least two classes.*'b'.*'c'",
        ),
    ],
)
def test_unusable_tables(tmp_path, name, content, options, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        table.Table(str(tmp_path / name), **options).find()


@pytest.mark.parametrize("path", ["/no/where.csv", "bucket://b/t.csv"])
def test_a_missing_table(path, bucket):
    with pytest.raises(ValueError, match="`path`"):
        table.Table(path).find()


def test_another_format():
    with pytest.raises(ValueError, match=r"`path`"):
        table.Table("labels.xlsx")


def test_a_missing_table_is_found_by_find(tmp_path):
    source = table.Table(str(tmp_path / "none.csv"))
    source.state()  # Comes first, and has nothing to say.
    with pytest.raises(ValueError, match="`path`"):
        source.find()


def test_a_row_of_many_lines_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(table_rows, "MAX_LINE", 1000)
    path = tmp_path / "t.csv"
    path.write_text("path,label\n1,a\n2,b\n" + '"x\n",' * 1000)
    source = table.Table(str(path))
    assert sorted(accepted(source)) == ["1", "2"]
    reasons = rejected(source)
    assert reasons["t.csv:4"] == "cannot be read: a row of more than 0 MiB"
    assert source.find().images == len(reasons) + 2


@formats
def test_a_table_that_is_one_endless_line(tmp_path, name):
    path = tmp_path / name
    if name != "t.jsonl":
        write(path, [("1", "a"), ("2", "b")])
    with open(path, "ab") as file:
        file.truncate(16 << 20)
    source = table.Table(str(path))
    if name == "t.jsonl":
        with pytest.raises(ValueError, match="`label`"):
            source.find()
    else:
        assert list(rejected(source).values()) == [
            "cannot be read: a line of more than 1 MiB"
        ]


def test_rows_of_stores_that_nobody_knows(tmp_path):
    rows = [("http://a/1.jpg", "a"), ("s3://a/2.jpg", "b"), ("3.jpg", "b")]
    (tmp_path / "3.jpg").write_bytes(b"three")
    source = table.Table(write(tmp_path / "t.csv", rows))
    assert source.state()
    items = accepted(source)
    assert len(items) == 3
    assert source.load(items["3.jpg"].location) == b"three"
    for path, _ in rows[:2]:
        with pytest.raises(image.BadImage, match="no file system"):
            source.load(items[path].location)


def test_a_table_that_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    (tmp_path / "d.csv").mkdir()
    for name in ("t.csv", "d.csv"):
        with pytest.raises(ValueError, match="`path`"):
            table.Table(str(tmp_path / name)).find()


def stray(line, where):
    """Puts a quote into a row of CSV."""
    path, label = line.split(",")
    return {
        "before": f'"{path},{label}',
        "path": f'{path}",{label}',
        "label": f'{path},"{label}',
        "after": f'{path},{label}"',
        "inside": f'{path[:2]}"{path[2:]},{label}',
    }[where]


@given(
    places=st.lists(
        st.tuples(
            st.integers(0, 49),
            st.sampled_from(["before", "path", "label", "after", "inside"]),
        ),
        max_size=4,
        unique_by=lambda place: place[0],
    ),
    size=st.integers(1, 60),
)
def test_stray_quotes_cost_their_own_rows(tmp_path_factory, places, size):
    rows = [f"{n:02}.jpg,{'abc'[n % 3]}" for n in range(50)]
    for row, where in places:
        rows[row] = stray(rows[row], where)
    path = tmp_path_factory.mktemp("quotes") / "t.csv"
    path.write_text("\n".join(["path,label", *rows]) + "\n")
    source = table.Table(str(path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "_PIECE", size)
        items = listed(source)
        assert source.find().images == len(items) == 50
    touched = {row for row, _ in places}
    sound = {f"{n:02}.jpg" for n in range(50)} - {
        f"{n:02}.jpg" for n in touched
    }
    assert sound <= {item.key for item in items if not item.reason}


def test_texts_of_several_lines_stay(tmp_path):
    rows = [(f"{n}.jpg", "ab"[n % 2], f"one, {n}\n\ntwo\n") for n in range(9)]
    source = table.Table(
        write(tmp_path / "t.csv", rows, ("path", "label", "x"))
    )
    assert source.find().images == len(accepted(source)) == 9


def test_quotes_all_over_a_large_table_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(table_rows, "_REREAD", 100_000)
    path = tmp_path / "t.csv"
    path.write_text("path,label\n1,a\n2,b\n" + '"x\n",' * 50_000)
    with pytest.raises(ValueError, match=r"`path` must.*t\.csv, line \d+"):
        table.Table(str(path)).find()


def test_held_out_images_without_a_column_are_warned_of(tmp_path, caplog):
    rows = [("train/1.jpg", "a"), ("train/2.jpg", "b"), ("test/1.jpg", "a")]
    table.Table(write(tmp_path / "t.csv", rows)).find()
    assert "test: 1" in caplog.text
