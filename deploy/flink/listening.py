"""Prints where processes, and those that they started, listen; Linux only.

    python deploy/flink/listening.py PID...

A line is a process id, an address and a port. The exit code is 1 if an address
can be reached from another machine.
"""

import contextlib
import ipaddress
import pathlib
import sys
from collections.abc import Iterable, Iterator

# A TCP socket in the state LISTEN, as /proc/net/tcp has it.
_LISTENS = "0A"


def main() -> int:
    """Prints what `listening` finds for the ids on the command line."""
    found = sorted(listening(map(int, sys.argv[1:])), key=str)
    for pid, address, port in found:
        print(pid, address, port)
    return int(not all(address.is_loopback for _, address, _ in found))


def listening(pids: Iterable[int]) -> Iterator[tuple]:
    """Yields (process id, address, port) of the TCP sockets that listen."""
    sockets = _sockets()
    for pid in _family(set(pids)):
        for descriptor in pathlib.Path(f"/proc/{pid}/fd").glob("*"):
            # A descriptor may be closed, and a process end, in between.
            with contextlib.suppress(OSError):
                link = str(descriptor.readlink())
                inode = link.removeprefix("socket:[").removesuffix("]")
                if inode in sockets:
                    yield (pid, *sockets[inode])


def _sockets() -> dict[str, tuple]:
    """Returns {inode: (address, port)} of all sockets that listen."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        path = pathlib.Path(table)
        lines = path.read_text().splitlines()[1:] if path.exists() else []
        for line in lines:
            (
                _,
                local,
                _,
                state,
                *_,
            ) = fields = line.split()
            if state == _LISTENS:
                host, port = local.split(":")
                found[fields[9]] = _address(host), int(port, 16)
    return found


def _address(text: str):
    """Returns the IP address that the kernel writes as words of 32 bits."""
    words = [int(text[i : i + 8], 16) for i in range(0, len(text), 8)]
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    address = ipaddress.ip_address(packed)
    # ::ffff:127.0.0.1 is 127.0.0.1 on a socket of both versions.
    return getattr(address, "ipv4_mapped", None) or address


def _family(pids: set[int]) -> set[int]:
    """Returns processes with all that descend from them."""
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in brackets, may hold anything.
            after = stat.read_text(errors="replace").rpartition(")")[2]
            parents[int(stat.parent.name)] = int(after.split()[1])
    found = set(pids)
    while (
        more := {pid for pid, parent in parents.items() if parent in found}
        - found
    ):
        found |= more
    return found


if __name__ == "__main__":
    sys.exit(main())
