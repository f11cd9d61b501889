import pytest

from keras_dynamic.exits.fitting.placed_cost import placed_ms

WAY = {"sent_bytes": 500, "bytes_per_second": 1e5, "round_trip_ms": 20.0}


def test_the_way_is_paid_once_and_behind_the_devices_last_exit():
    found = placed_ms((1.0, 3.0), (0.5, 0.75), **WAY)
    assert found == (1.0, 3.0, 28.5, 28.75)
    assert placed_ms((1.0, 3.0), (), **WAY) == (1.0, 3.0)


@pytest.mark.parametrize(
    ("changes", "argument"),
    [
        ({"device_ms": ()}, "device_ms"),
        ({"device_ms": (2.0, 1.0)}, "device_ms"),
        ({"device_ms": (float("nan"),)}, "device_ms"),
        ({"server_ms": (0.0,)}, "server_ms"),
        ({"sent_bytes": -1}, "sent_bytes"),
        ({"bytes_per_second": 0}, "bytes_per_second"),
        ({"round_trip_ms": float("inf")}, "round_trip_ms"),
    ],
)
def test_bad_arguments(changes, argument):
    given = {"device_ms": (1.0,), "server_ms": (1.0,)} | WAY | changes
    with pytest.raises(ValueError, match=f"`{argument}`"):
        placed_ms(**given)
