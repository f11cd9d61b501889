import numpy as np

from pipeline.storage import fingerprint


def test_arrays_count_with_their_values_types_and_shapes():
    first = np.arange(6, dtype=np.float32)
    others = (
        [first],
        [first + 1],
        [first.reshape(2, 3)],
        [first.astype(np.float64)],
        [first[:3], first[3:]],
        [],
    )
    hashes = [fingerprint.of_arrays(each) for each in others]
    assert len({*hashes}) == len(others)
    assert fingerprint.of_arrays([first[::-1][::-1]]) == hashes[0]
