import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data import augmentation, batches, dataset
from tests.support import prepared_data

PIXELS, LABELS = prepared_data.images(50)
IMAGES = dataset.Images(PIXELS, LABELS, ("",) * 50)


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    prepared_data.write(directory, {"train": (PIXELS, LABELS)}, storage="mixed")
    return dataset.open_split(directory, "train", memory=0)


def epoch(name="crop_flip", images=IMAGES, number=0, **options):
    given = {"batch_size": 8, "seed": 1}
    places = {
        key: options.pop(key)
        for key in ("start", "stop", "threads")
        if key in options
    }
    return list(
        batches.shuffled(
            images,
            batches.Order(len(images), **(given | options)),
            epoch=number,
            augmentation=augmentation.get(name, size=8),
            **places,
        )
    )


def assert_equal(first, second):
    for (x, y), (other_x, other_y) in zip(first, second, strict=True):
        np.testing.assert_array_equal(x, other_x)
        np.testing.assert_array_equal(y, other_y)


def test_batches_without_augmentation_are_the_images():
    labels = []
    for x, y in epoch("none"):
        assert (x.dtype, y.dtype) == (np.float32, np.int32)
        np.testing.assert_array_equal(x, PIXELS[y].astype(np.float32) / 255)
        labels += y.tolist()
    assert len(labels) == len(set(labels)) == 48
    assert labels != sorted(labels)


@pytest.mark.parametrize("name", ["crop_flip", "resized_crop_flip"])
def test_an_epoch_is_a_function_of_seed_and_epoch(name):
    first = epoch(name)
    assert_equal(first, epoch(name))
    for other in (epoch(name, seed=2), epoch(name, number=1)):
        assert [y.tolist() for _, y in first] != [y.tolist() for _, y in other]


def test_mapped_images_give_the_same_batches(mapped):
    assert_equal(epoch(), epoch(images=mapped))


@given(
    threads=st.integers(1, 5),
    start=st.integers(0, 6),
    length=st.integers(0, 6),
    workers=st.integers(1, 3),
)
def test_any_threads_and_any_part(threads, start, length, workers):
    options = {"batch_size": 8 // workers, "workers": workers, "worker": 0}
    whole = epoch(**options)
    part = epoch(threads=threads, start=start, stop=start + length, **options)
    assert_equal(part, whole[start : start + length])


@given(
    images=st.integers(1, 200),
    batch_size=st.integers(1, 20),
    workers=st.integers(1, 5),
    number=st.integers(0, 3),
    drop=st.booleans(),
)
def test_workers_share_the_images(images, batch_size, workers, number, drop):
    if batch_size * workers > images:
        with pytest.raises(ValueError, match="`batch_size`"):
            batches.Order(images, batch_size, 0, 0, workers)
        return
    shares = [
        batches.Order(images, batch_size, 7, worker, workers, drop)
        for worker in range(workers)
    ]
    taken = [order.epoch(number) for order in shares]
    assert {len(share) for share in taken} == {len(order) for order in shares}
    assert len(set(map(len, taken))) == 1
    sizes = [len(batch) for share in taken for batch in share]
    union = np.concatenate([b for share in taken for b in share]).tolist()
    assert len(union) == len(set(union))
    if drop:
        assert set(sizes) == {batch_size}
        assert images - len(union) < batch_size * workers
    else:
        assert sorted(union) == list(range(images))
        assert max(sizes) <= batch_size
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("name", ["crop_flip", "resized_crop_flip"])
@pytest.mark.parametrize("drop", [True, False])
def test_workers_make_the_batches_of_one(name, drop):
    one = epoch(name, batch_size=12, drop_remainder=drop)
    two = [
        epoch(name, batch_size=6, worker=w, workers=2, drop_remainder=drop)
        for w in (0, 1)
    ]
    together = [
        tuple(map(np.concatenate, zip(*batches_, strict=True)))
        for batches_ in zip(*two, strict=True)
    ]
    assert_equal(together, one)


def test_every_batch_is_augmented_differently():
    same = dataset.Images(
        np.broadcast_to(PIXELS[:1], PIXELS.shape), LABELS, ("",) * 50
    )
    found = [
        x.tobytes()
        for number in (0, 1)
        for worker in (0, 1)
        for x, _ in epoch(
            images=same, number=number, batch_size=5, worker=worker, workers=2
        )
    ]
    assert len(found) == len(set(found)) == 20


def test_the_order_is_not_that_of_the_first_augmentation():
    order = batches.Order(50, 8, 1)
    drawn = np.random.default_rng([1, 0]).random(9)
    assert (order.generator(0, 0).random(9) != drawn).all()


@pytest.mark.parametrize("worker", [-1, 2])
def test_a_worker_must_be_one_of_them(worker):
    with pytest.raises(ValueError, match="`worker`"):
        batches.Order(50, 5, 0, worker, 2)


@pytest.mark.parametrize("size", [8, 5])
@pytest.mark.parametrize("threads", [1, 3])
def test_evaluation_keeps_order_and_remainder(size, threads, mapped):
    start = (8 - size) // 2
    crop = slice(start, start + size)
    for images in (IMAGES, mapped):
        found = list(
            batches.in_order(images, batch_size=16, size=size, threads=threads)
        )
        assert [len(x) for x, _ in found] == [16, 16, 16, 2]
        np.testing.assert_array_equal(
            np.concatenate([x for x, _ in found]),
            PIXELS[:, crop, crop].astype(np.float32) / 255,
        )
        np.testing.assert_array_equal(
            np.concatenate([y for _, y in found]), LABELS
        )


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_evaluate_all_images_once(workers):
    shares = [
        list(
            batches.in_order(
                IMAGES, batch_size=8, size=8, worker=worker, workers=workers
            )
        )
        for worker in range(workers)
    ]
    steps = list(zip(*shares, strict=True))
    assert len(steps) == -(-50 // (8 * workers))
    labels = [y for step in steps for _, y in step]
    np.testing.assert_array_equal(np.concatenate(labels), LABELS)
    for step in steps:
        for x, y in step:
            np.testing.assert_array_equal(x, PIXELS[y].astype(np.float32) / 255)


@pytest.mark.parametrize("threads", [1, 4])
def test_an_error_comes_in_its_place(threads):
    def read(position):
        if position == 5:
            raise OSError("gone")
        return position

    found = []
    with pytest.raises(OSError, match="gone"):
        for result in batches.read_ahead(read, range(10), threads=threads):
            found.append(result)
    assert found == [0, 1, 2, 3, 4]


def test_reading_ahead_is_bounded_and_closing_ends_it():
    begun = []
    before = threading.active_count()
    reading = batches.read_ahead(
        lambda position: begun.append(position) or position,
        iter(range(10**9)),
        threads=2,
    )
    assert [next(reading) for _ in range(5)] == [0, 1, 2, 3, 4]
    reading.close()
    assert threading.active_count() == before
    assert len(begun) <= 5 + 4


def test_results_come_in_order_whatever_is_ready_first():
    waits = [threading.Event() for _ in range(4)]

    def read(position):
        if position < 3:
            waits[position + 1].wait()  # Not before the next one.
        waits[position].set()
        return position

    assert list(batches.read_ahead(read, range(4), threads=4)) == [0, 1, 2, 3]


def test_each_image_is_turned_in_every_second_epoch():
    order = batches.Order(1000, 8, seed=1)
    first, second, third = map(order.turned, range(3))
    assert 400 < first.sum() < 600
    np.testing.assert_array_equal(second, ~first)
    np.testing.assert_array_equal(third, first)
    other = batches.Order(1000, 8, seed=2).turned(0)
    assert 300 < (first != other).sum() < 700


def test_two_epochs_of_alternating_flips_show_both_sides():
    change = augmentation.get(
        "crop_flip", size=8, padding=0, flip="alternating"
    )
    order = batches.Order(50, 10, seed=1)
    first, second = (
        {
            index: pixels
            for indices, (images, _) in zip(
                order.epoch(number),
                batches.shuffled(
                    IMAGES, order, epoch=number, augmentation=change
                ),
                strict=True,
            )
            for index, pixels in zip(indices.tolist(), images, strict=True)
        }
        for number in (0, 1)
    )
    assert first.keys() == second.keys() == {*range(50)}
    for index, pixels in first.items():
        np.testing.assert_array_equal(second[index], pixels[:, ::-1])
