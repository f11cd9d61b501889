"""Writes the rows of `score`, in one of three formats.

A column, its feature in a TFRecord, and what it holds:

    key             image/key             name of the image
    label           image/label           its class; if unknown empty, or none
    label_name      image/label_name      and its name
    predicted       score/predicted       the most probable class
    predicted_name  score/predicted_name  and its name
    confidence      score/confidence      its probability, float32
    exit            score/exit            where the image stopped, from 0
    madds           score/madds           multiply-adds up to there
    probabilities   score/probabilities   of every class, float32

In CSV the probabilities are one column, separated by spaces, or one for each
class, named `p_` and the class.
"""

import csv
import functools
import io
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.io import WriteToParquet, WriteToText, WriteToTFRecord

from pipeline.scoring.bundle_handler import Scored
from pipeline.storage import example

# How a formula begins. Tabs and ends of lines before one are passed over.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class Row(NamedTuple):
    """Holds one scored image; label is -1, its name "", if it is unknown."""

    key: str
    label: int
    label_name: str
    scored: Scored


def write(
    form: str,
    output: str,
    shards: int,
    escape_formulas: bool = False,
    classes: Sequence[str] = (),
) -> beam.PTransform:
    """Returns the transform that writes rows to OUTPUT-00000-of-0000N.FORM.

    Args:
        form: One of `FORMATS`.
        output: Prefix of the files.
        shards: Number of files; 0 leaves it to the runner, which then need
            not gather the rows.
        escape_formulas: Whether texts are written as `without_formula` does.
        classes: Names of the classes, for a column of CSV each.

    Returns:
        A transform from a PCollection of `Row` to one of file names.

    Raises:
        ValueError: There is no such format.
    """
    if form not in FORMATS:
        raise ValueError(
            f"`format` must be one of {', '.join(FORMATS)}. Received: {form!r}"
        )
    encode, writer = FORMATS[form]
    if classes:
        encode, writer = to_wide_line, functools.partial(_csv, classes=classes)
    steps = "Encode" >> beam.Map(encode) | "Write" >> writer(
        output, f".{form}", shards
    )
    if escape_formulas:
        return "EscapeFormulas" >> beam.Map(without_formula) | steps
    return steps


def without_formula(row: Row) -> Row:
    """Returns a row whose texts a spreadsheet takes for texts.

    One that begins like a formula gets a "'" in front.
    """
    name = _without_formula(row.scored.predicted_name)
    return row._replace(
        key=_without_formula(row.key),
        label_name=_without_formula(row.label_name),
        scored=row.scored._replace(predicted_name=name),
    )


def _without_formula(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def to_example(row: Row) -> bytes:
    """Returns a row as a serialised tf.train.Example, always the same bytes."""
    message = example.Example()
    feature = message.features.feature
    feature["image/key"].bytes_list.value.append(row.key.encode())
    if row.label >= 0:
        feature["image/label"].int64_list.value.append(row.label)
        name = row.label_name.encode()
        feature["image/label_name"].bytes_list.value.append(name)
    scored = row.scored
    feature["score/predicted"].int64_list.value.append(scored.predicted)
    name = scored.predicted_name.encode()
    feature["score/predicted_name"].bytes_list.value.append(name)
    feature["score/confidence"].float_list.value.append(_confidence(scored))
    feature["score/exit"].int64_list.value.append(scored.exit)
    feature["score/madds"].int64_list.value.append(scored.madds)
    feature["score/probabilities"].float_list.value.extend(scored.probabilities)
    return message.SerializeToString(deterministic=True)


def to_line(row: Row) -> str:
    """Returns a row as a line of CSV, without the line's end."""
    return _line([*_cells(row), " ".join(_digits(_float32(row.scored)))])


def to_wide_line(row: Row) -> str:
    """Returns a row as a line of CSV with a cell for each probability."""
    return _line([*_cells(row), *_digits(_float32(row.scored))])


def _cells(row: Row) -> list[object]:
    """Returns the cells of a row before the probabilities."""
    scored = row.scored
    known = row.label >= 0
    return [
        row.key,
        row.label if known else "",
        row.label_name if known else "",
        scored.predicted,
        scored.predicted_name,
        *_digits([_confidence(scored)]),
        scored.exit,
        scored.madds,
    ]


def _digits(numbers: Iterable[float]) -> list[str]:
    # Nine digits tell any two float32 apart.
    return [f"{number:.9g}" for number in numbers]


def _line(cells: Sequence[object]) -> str:
    target = io.StringIO()
    # Keys with what ends a line are quoted for its sake only.
    csv.writer(target, lineterminator="\r\n").writerow(cells)
    return target.getvalue().removesuffix("\r\n")


def to_dict(row: Row) -> dict:
    """Returns a row as Beam's Parquet writer takes it."""
    scored = row.scored
    known = row.label >= 0
    return {
        "key": row.key,
        "label": row.label if known else None,
        "label_name": row.label_name if known else None,
        "predicted": scored.predicted,
        "predicted_name": scored.predicted_name,
        "confidence": _confidence(scored),
        "exit": scored.exit,
        "madds": scored.madds,
        "probabilities": _float32(scored),
    }


_COLUMNS = (
    *("key", "label", "label_name", "predicted", "predicted_name"),
    *("confidence", "exit", "madds", "probabilities"),
)


def _float32(scored: Scored) -> np.ndarray:
    return scored.probabilities.astype(np.float32)


def _confidence(scored: Scored) -> float:
    return float(_float32(scored)[scored.predicted])


def _tfrecord(output: str, suffix: str, shards: int) -> beam.PTransform:
    return WriteToTFRecord(output, file_name_suffix=suffix, num_shards=shards)


def _csv(
    output: str, suffix: str, shards: int, classes: Sequence[str] = ()
) -> beam.PTransform:
    columns = list(_COLUMNS)
    if classes:
        columns[-1:] = [f"p_{name}" for name in classes]
    return WriteToText(output, suffix, num_shards=shards, header=_line(columns))


def _parquet(output: str, suffix: str, shards: int) -> beam.PTransform:
    import pyarrow

    integer = pyarrow.int64()
    kinds = {
        "key": pyarrow.string(),
        "label_name": pyarrow.string(),
        "predicted_name": pyarrow.string(),
        "confidence": pyarrow.float32(),
        "probabilities": pyarrow.list_(pyarrow.float32()),
    }
    schema = pyarrow.schema(
        [(name, kinds.get(name, integer)) for name in _COLUMNS]
    )
    return WriteToParquet(
        output, schema, file_name_suffix=suffix, num_shards=shards
    )


FORMATS: dict[str, tuple[Callable, Callable]] = {
    "tfrecord": (to_example, _tfrecord),
    "csv": (to_line, _csv),
    "parquet": (to_dict, _parquet),
}
