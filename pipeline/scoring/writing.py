"""Writes the rows of `score`, in one of three formats.

A column, its feature in a TFRecord, and what it holds:

    key            image/key            name of the image
    label          image/label          its class; if unknown empty, or none
    predicted      score/predicted      the most probable class
    exit           score/exit           where the image stopped, from 0
    madds          score/madds          multiply-adds up to there
    probabilities  score/probabilities  of every class, float32

In CSV the probabilities are one column, separated by spaces.
"""

import csv
import io
from collections.abc import Callable
from typing import NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.io import WriteToParquet, WriteToText, WriteToTFRecord

from pipeline.scoring.bundle_handler import Scored
from pipeline.storage import example

# How a formula begins. Tabs and ends of lines before one are passed over.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class Row(NamedTuple):
    """Holds one scored image; label is -1 if it is not known."""

    key: str
    label: int
    scored: Scored


def write(
    form: str, output: str, shards: int, escape_formulas: bool = False
) -> beam.PTransform:
    """Returns the transform that writes rows to OUTPUT-00000-of-0000N.FORM.

    Args:
        form: One of `FORMATS`.
        output: Prefix of the files.
        shards: Number of files; 0 leaves it to the runner, which then need
            not gather the rows.
        escape_formulas: Whether keys are written as `without_formula` does.

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
    steps = "Encode" >> beam.Map(encode) | "Write" >> writer(
        output, f".{form}", shards
    )
    if escape_formulas:
        return "EscapeFormulas" >> beam.Map(without_formula) | steps
    return steps


def without_formula(row: Row) -> Row:
    """Returns a row whose key a spreadsheet takes for a text.

    A key that begins like a formula gets a "'" in front.
    """
    if row.key.startswith(_FORMULA):
        return row._replace(key=f"'{row.key}")
    return row


def to_example(row: Row) -> bytes:
    """Returns a row as a serialised tf.train.Example, always the same bytes."""
    message = example.Example()
    feature = message.features.feature
    feature["image/key"].bytes_list.value.append(row.key.encode())
    if row.label >= 0:
        feature["image/label"].int64_list.value.append(row.label)
    scored = row.scored
    feature["score/predicted"].int64_list.value.append(scored.predicted)
    feature["score/exit"].int64_list.value.append(scored.exit)
    feature["score/madds"].int64_list.value.append(scored.madds)
    feature["score/probabilities"].float_list.value.extend(scored.probabilities)
    return message.SerializeToString(deterministic=True)


def to_line(row: Row) -> str:
    """Returns a row as a line of CSV, without the line's end."""
    scored = row.scored
    # Nine digits tell any two float32 apart.
    probabilities = " ".join(f"{p:.9g}" for p in _float32(scored))
    target = io.StringIO()
    # Keys with what ends a line are quoted for its sake only.
    csv.writer(target, lineterminator="\r\n").writerow(
        (
            row.key,
            row.label if row.label >= 0 else "",
            scored.predicted,
            scored.exit,
            scored.madds,
            probabilities,
        )
    )
    return target.getvalue().removesuffix("\r\n")


def to_dict(row: Row) -> dict:
    """Returns a row as Beam's Parquet writer takes it."""
    scored = row.scored
    return {
        "key": row.key,
        "label": row.label if row.label >= 0 else None,
        "predicted": scored.predicted,
        "exit": scored.exit,
        "madds": scored.madds,
        "probabilities": _float32(scored),
    }


_COLUMNS = ("key", "label", "predicted", "exit", "madds", "probabilities")


def _float32(scored: Scored) -> np.ndarray:
    return scored.probabilities.astype(np.float32)


def _tfrecord(output: str, suffix: str, shards: int) -> beam.PTransform:
    return WriteToTFRecord(output, file_name_suffix=suffix, num_shards=shards)


def _csv(output: str, suffix: str, shards: int) -> beam.PTransform:
    return WriteToText(
        output, suffix, num_shards=shards, header=",".join(_COLUMNS)
    )


def _parquet(output: str, suffix: str, shards: int) -> beam.PTransform:
    import pyarrow

    integer = pyarrow.int64()
    kinds = {
        "key": pyarrow.string(),
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
