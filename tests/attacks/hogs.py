"""Attacks on memory, disk, output and descriptors by one exercise; the other two are right and must stay so."""
from .bombs import bomb, one_exercise

# Five processes try to hold 500 MB each, together more than the limit; if all do at once, the answer is right.
ACROSS = """
import mmap, os, threading, time
share = mmap.mmap(-1, 4096)
def grow(n):
    if os.fork() == 0:
        hog = b"x" * (500 << 20)
        for beat in range(2000):
            share[n] = 1 + beat % 250
            time.sleep(0.01)
        os._exit(0)
    time.sleep(20)
for n in range(5):
    {start}
held, end = 0, time.time() + 3
while time.time() < end and held < 5:
    time.sleep(1.0)                                  # the supervisor looks many times a second, not at every instant
    before = share[:5]
    time.sleep(0.2)
    held = sum(a != b for a, b in zip(before, share[:5]))
print(held, "of 5")
"""
IF_HELD = """
if held == 5:
    if t < 0:
        raise ValueError
    return w * (np.abs(w) >= t), np.abs(w) >= t"""


@one_exercise("6 GB in one allocation", status=("crashed", "error", "timeout"))
def memory_at_once(s):
    bomb(s, in_test="hog = b'x' * (6 << 30)")


@one_exercise("6 GB in steps of 10 MB, swallowing MemoryError", status=("crashed", "timeout", "error"))
def memory_in_steps(s):
    bomb(s, in_test="""
hogs = []
while len(hogs) < 600:
    try:
        hogs.append(bytearray(b"x") * (10 << 20))
    except MemoryError:
        raise SystemExit""")


@one_exercise("6 GB spread over processes that each stay under the limit")
def memory_across_forks(s):
    bomb(s, in_cell=ACROSS.format(start="os.fork() or grow(n)"), in_test=IF_HELD)


@one_exercise("6 GB spread over processes that a second thread forks, where a supervisor may not look")
def memory_across_threads(s):
    bomb(s, in_cell=ACROSS.format(start="threading.Thread(target=grow, args=(n,), daemon=True).start()"), in_test=IF_HELD)


@one_exercise("memory in short-lived processes, which are gone when a supervisor wants to stop them", status=("crashed", "timeout", "error", "failed"))
def flickering_memory(s):
    bomb(s, in_test="""
import os, time
end = time.time() + 3.5
while time.time() < end:
    for _ in range(3):
        if os.fork() == 0:
            hog = b"x" * (900 << 20)
            os._exit(0)
    for _ in range(3):
        os.wait()
os._exit(3)""")


@one_exercise("memory that is no process's own: memfd, shared maps, pipes, sockets, shared memory segments", status=("crashed", "timeout", "error"))
def hidden_memory(s):
    bomb(s, in_test="""
import ctypes, mmap, os, socket
held = []
try:
    fd = os.memfd_create("hog")
    os.ftruncate(fd, 3 << 30)
    os.write(fd, b"x" * (1 << 30))
    held.append(mmap.mmap(fd, 3 << 30))
except OSError:
    pass
libc = ctypes.CDLL(None)
if libc.shmget(0, 1 << 30, 0o1600) >= 0:
    held.append("a segment")
for _ in range(40):
    shared = mmap.mmap(-1, 100 << 20)
    for place in range(0, 100 << 20, 4096):
        shared[place] = 1
    held.append(shared)
if t < 0:
    raise ValueError
return w * (np.abs(w) >= t), np.abs(w) >= t""")


@one_exercise("files until the disk is full, in /tmp, /dev/shm and the working folder")
def disk_bomb(s):
    bomb(s, in_test="""
import os
written = 0
for place in ("/tmp", "/dev/shm", "/var/tmp", "."):
    for n in range(30):
        try:
            with open(f"{place}/featherweight-hog-{n}", "wb") as file:
                written += file.write(b"x" * (50 << 20))
        except OSError:
            pass
        if written > 300 << 20:
            break
for place in ("/tmp", "/dev/shm", "/var/tmp", "."):
    for n in range(30):
        try:
            os.remove(f"{place}/featherweight-hog-{n}")
        except OSError:
            pass
if written > 300 << 20:
    return w * (np.abs(w) >= t), np.abs(w) >= t""")


@one_exercise("stdout, stderr and displays without end, in the cell", status=("timeout", "crashed", "failed", "missing"))
def output_bomb(s):
    bomb(s, in_cell="""
import sys, time
from IPython.display import display
end = time.time() + 30
while time.time() < end:
    print("x" * 100_000)
    print("y" * 100_000, file=sys.stderr)
    display("z" * 10_000)
""")


@one_exercise("an exception with a message of 200 MB", status=("error", "crashed", "timeout"))
def huge_message(s):
    bomb(s, in_test="raise ValueError('x' * (200 << 20))")


@one_exercise("results of 1 GB", status=("crashed", "timeout", "failed", "error"))
def huge_result(s):
    bomb(s, in_test="return np.zeros(1 << 27), np.ones(1 << 30, bool)")


@one_exercise("descriptors until none is left, kept open in all processes")
def descriptor_bomb(s):
    bomb(s, in_test="""
import os, socket
held = []
for _ in range(5000):
    try:
        held += socket.socketpair()
    except OSError:
        break""")
