import apache_beam as beam
from apache_beam.testing.util import assert_that, equal_to

from pipeline.beam import runners, spread


def test_every_element_comes_once():
    elements = ["a", "b", "b", "ä", *(f"{i}" for i in range(100))]
    pairs = [(1, b"x"), (2, b"x"), (3, b"")]
    with beam.Pipeline(options=runners.options([])) as pipeline:
        texts = pipeline | "Texts" >> beam.Create(elements)
        found = texts | "SpreadTexts" >> spread.Spread()
        assert_that(found, equal_to(elements), label="texts")
        found = (
            pipeline
            | "Pairs" >> beam.Create(pairs)
            | "SpreadPairs" >> spread.Spread()
        )
        assert_that(found, equal_to(pairs), label="pairs")
