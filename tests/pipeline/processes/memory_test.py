import subprocess
import sys

# Frees a block that malloc would map and unmap, and counts page faults of
# taking it again: none if the memory stayed with the process.
_CODE = """
import ctypes, resource
from pipeline.processes import memory
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(64 << 20)
    ctypes.memset(block, 1, 64 << 20)
    libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
memory.keep_freed_memory()
faults()
print(faults())
"""


def test_freed_memory_stays_with_the_process():
    done = subprocess.run(
        [sys.executable, "-c", _CODE],
        capture_output=True,
        text=True,
        check=True,
    )
    # 64 MiB are 16,384 pages of 4 KiB, or 32 of 2 MiB.
    assert int(done.stdout) < 16
