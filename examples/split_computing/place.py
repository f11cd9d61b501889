"""Says which segments of a bundle are the server's, and fits a policy to it.

    python place.py BUNDLE NEW --device_exits=1
    python place.py BUNDLE NEW --device_exits=1 --budget_ms=5 \
        --device_ms=1.2 --server_ms=0.4,0.9 \
        --bytes_per_second=250000 --round_trip_ms=20

The second fits the most accurate policy whose mean milliseconds, the way to the
server among them, are within the budget: its operating point `placed`.
"""

import argparse

from keras_dynamic.exits.fitting import placed_cost
from pipeline.policies import operating_points
from tflite import bundle
from tflite.bundle import server_places
from tflite.diagnosis import inspection

POINT = "placed"


def place(path: str, new: str, device_exits: int) -> int:
    """Writes a bundle with places; returns the bytes that cross per image.

    Logits of the device's exits are sent beside them, and are not counted.

    Raises:
        ValueError: If the bundle is not sound, has no such exit, or `new` is
            not empty.
    """
    opened = bundle.read(path)
    placed = bundle.rewrite(
        opened,
        new,
        policy=opened.policy,
        operating_points=opened.operating_points,
        segments=server_places.placed(opened.segments, device_exits),
    )
    exits = inspection.report(placed)["exits"]
    return exits[device_exits - 1]["crossing"]["bytes"]


def main() -> None:
    """Carries out what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("new")
    parser.add_argument("--device_exits", type=int, required=True)
    parser.add_argument("--budget_ms", type=float)
    for name in ("device_ms", "server_ms"):
        parser.add_argument(f"--{name}", type=_numbers, default=())
    parser.add_argument("--bytes_per_second", type=float, default=1e6)
    parser.add_argument("--round_trip_ms", type=float, default=10.0)
    given = parser.parse_args()
    try:
        sent = place(given.bundle, given.new, given.device_exits)
        print(f"{sent:,} bytes cross per image that the server sees")
        if given.budget_ms is None:
            return
        exit_ms = placed_cost.placed_ms(
            given.device_ms,
            given.server_ms,
            sent_bytes=sent,
            bytes_per_second=given.bytes_per_second,
            round_trip_ms=given.round_trip_ms,
        )
        found = operating_points.fit(
            given.new, POINT, budget_ms=given.budget_ms, exit_ms=exit_ms
        )
    except (OSError, ValueError) as error:
        raise SystemExit(f"place.py: {error}") from None
    shares = ", ".join(f"{share:.1%}" for share in found.exit_shares)
    print(
        f"operating point {POINT}: {found.accuracy:.1%} accurate at "
        f"{found.mean_ms:.3g} ms, exits {shares}"
    )


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(each) for each in text.split(","))


if __name__ == "__main__":
    main()
