"""Counts what an exit costs where the last ones are on a server."""

import math
from collections.abc import Sequence


def placed_ms(
    device_ms: Sequence[float],
    server_ms: Sequence[float],
    *,
    sent_bytes: int,
    bytes_per_second: float,
    round_trip_ms: float,
) -> tuple[float, ...]:
    """Returns the milliseconds up to each exit, for the device's user.

    An exit on the device costs its time there. One on the server costs that of
    the device's last exit, one round trip, the bytes that cross over the
    bandwidth, and the server's time. They are what rules of policies take as
    the cost of exits, such as `cost_budget`.

    Args:
        device_ms: Milliseconds up to each exit on the device, increasing.
        server_ms: Milliseconds from the cut to each exit on the server,
            increasing; none if all exits are on the device.
        sent_bytes: Bytes that an image sends.
        bytes_per_second: Of the way to the server.
        round_trip_ms: Milliseconds there and back for nothing.

    Returns:
        One number per exit, those of the device first.

    Raises:
        ValueError: If an argument is not as said.
    """
    _require_increasing("device_ms", device_ms, least=1)
    _require_increasing("server_ms", server_ms, least=0)
    if not 0 < bytes_per_second < math.inf:
        raise ValueError(
            "`bytes_per_second` must be a finite positive number. "
            f"Received: {bytes_per_second!r}"
        )
    for name, value in (
        ("sent_bytes", sent_bytes),
        ("round_trip_ms", round_trip_ms),
    ):
        if not 0 <= value < math.inf:
            raise ValueError(
                f"`{name}` must be a finite number, not negative. "
                f"Received: {value!r}"
            )
    way = device_ms[-1] + round_trip_ms + 1e3 * sent_bytes / bytes_per_second
    return (*device_ms, *(way + spent for spent in server_ms))


def _require_increasing(name, values, *, least):
    pairs = zip((0.0, *values), values, strict=False)
    if len(values) < least or not all(a < b < math.inf for a, b in pairs):
        raise ValueError(
            f"`{name}` must be finite positive numbers that increase, "
            f"{least} or more. Received: {list(values)}"
        )
