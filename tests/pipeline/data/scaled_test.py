import numpy as np

from pipeline.data import dataset
from pipeline.data.scaled import scaled
from tests.support import prepared_data


def test_images_in_memory_and_mapped_ones_become_the_same(tmp_path):
    pixels, labels = prepared_data.images(30, side=8)
    prepared_data.write(tmp_path, {"train": (pixels, labels)})
    memory, mapped = (
        scaled(dataset.open_split(tmp_path, "train", memory=bytes), 6)
        for bytes in (1e9, 0)
    )
    indices = np.array([3, 29, 3, 0])
    found = memory.take(indices)
    assert (found.dtype, found.shape) == (np.uint8, (4, 6, 6, 3))
    np.testing.assert_array_equal(found, mapped.take(indices))
    for each in (memory, mapped):
        assert len(each) == 30
        np.testing.assert_array_equal(each.labels, labels)
        assert each.keys == memory.keys


def test_a_plain_image_stays_plain():
    images = dataset.Images(
        np.full((2, 9, 9, 1), 77, np.uint8), np.zeros(2, np.int32), ("", "")
    )
    assert (scaled(images, 4).take(np.arange(2)) == 77).all()
