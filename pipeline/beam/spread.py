"""Sends the elements of a collection to all workers."""

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam


class Spread(beam.PTransform):
    """Breaks fusion, like `beam.Reshuffle`, and keeps every element.

    It groups, because Flink leaves reshuffled elements on the worker where they
    are: of six elements, six were seen by one of two workers. Elements are
    bytes, text, or tuples that end with one of these.
    """

    def expand(self, elements: beam.PCollection) -> beam.PCollection:
        """Builds the steps."""
        return (
            elements
            | "Key" >> beam.Map(_keyed)
            | beam.GroupByKey()
            | "Values" >> beam.FlatMap(_values)
        )


def _keyed(element: Any) -> tuple[int, Any]:
    data = element[-1] if isinstance(element, tuple) else element
    return zlib.crc32(data.encode() if isinstance(data, str) else data), element


def _values(group: tuple[int, Iterable[Any]]) -> Iterator[Any]:
    yield from group[1]
