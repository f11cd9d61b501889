import collections

from hypothesis import given
from hypothesis import strategies as st

from pipeline.data import splits
from pipeline.data.image import BadImage
from pipeline.prepare import plan
from pipeline.sources.item import Item

FRACTIONS = {"validation": 0.1, "calibration": 0.1, "test": 0.2}
texts = st.text(st.characters(), max_size=8)
items = st.builds(
    Item,
    key=texts,
    label=st.integers(-1, 10),
    location=texts,
    split=st.sampled_from([None, *splits.SPLITS]),
    reason=texts,
)


class Contents:
    """A source whose locations are what its images hold."""

    def load(self, location):
        if location == "bad":
            raise BadImage("it is bad")
        return location.encode()


@given(st.lists(items, min_size=1), st.booleans())
def test_packed_items_come_back(found, located):
    if located:
        found = [item._replace(location=item.key) for item in found]
    assert list(plan.unpack(plan.pack(found))) == found


@given(st.integers(1, 10**7), st.integers(1, 10**4))
def test_buckets_are_a_power_of_two_and_no_more_than_needed(images, wanted):
    count = plan.buckets(images, wanted)
    assert count & (count - 1) == 0
    assert count * wanted >= images
    assert count == 1 or count // 2 * wanted < images


@given(st.binary(min_size=32, max_size=32), st.integers(0, 10))
def test_a_bucket_is_halved_when_their_number_doubles(image, power):
    few = plan.Plan(FRACTIONS, 0, 2**power).bucket(image)
    many = plan.Plan(FRACTIONS, 0, 2 ** (power + 1)).bucket(image)
    assert many // 2 == few


def test_a_piece_is_listed_in_chunks():
    class Many:
        def items(self, piece):
            for i in range(40_000):
                yield Item(f"{piece}/{i}", 0, str(i))

    chunks = list(plan.list_piece("a", Many()))
    found = [item for chunk in chunks for item in chunk]
    assert found == list(Many().items("a"))
    assert len(chunks) > 2


def test_copies_are_placed_together_and_nothing_is_lost():
    listed = [Item(f"{i}", 0, f"{i % 50}") for i in range(200)]
    listed += [Item("x", 0, "bad"), Item("y", -1, "", None, "no image")]
    placing = plan.Plan(FRACTIONS, 0, 16)
    placed = {
        bucket: list(plan.unpack(data))
        for bucket, data in plan.place(listed, Contents(), placing)
    }
    found = [item for members in placed.values() for item in members]
    assert sorted(item.key for item in found) == sorted(i.key for i in listed)
    where = collections.defaultdict(set)
    for bucket, members in placed.items():
        for item in members:
            where[item.location].add(bucket)
    assert {len(where[str(i)]) for i in range(50)} == {1}
    assert len(placed) > 10
    reasons = {item.key: item.reason for item in found if item.reason}
    assert reasons == {"x": "it is bad", "y": "no image"}


def test_published_test_images_come_first():
    placing = plan.Plan(FRACTIONS, 0, 1)
    published = [None, "train", "validation", "calibration", "test"]
    found = [Item(f"{i}", 0, "", published[i % 5]) for i in range(50)]
    ordered = [item.split for item in sorted(found, key=placing.order)]
    assert ordered[:30] == (
        ["test"] * 10 + ["calibration"] * 10 + ["validation"] * 10
    )
