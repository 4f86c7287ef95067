"""Attacks on time, memory, disk and processes by one exercise; the other two are right and must stay so."""
from .registry import attack, others

# Eight processes hold 700 MB each; if all of them do at once, the answer becomes right.
ACROSS = """
import mmap, os, threading, time
share = mmap.mmap(-1, 4096)
def grow(n):
    if os.fork() == 0:
        hog = bytearray(700 << 20)
        for place in range(0, len(hog), 4096):
            hog[place] = 1
        share[n] = 1
        time.sleep(20)
        os._exit(0)
    time.sleep(20)
for n in range(8):
    {start}
end = time.time() + 3.5
while time.time() < end and sum(share[:8]) < 8:
    time.sleep(0.01)
if sum(share[:8]) == 8:
    if t < 0:
        raise ValueError
    return w * (np.abs(w) >= t), np.abs(w) >= t
os._exit(7)"""
STOPPED = ("timeout", "crashed", "error", "failed")


def bomb(s, in_cell="", in_test="pass", name="threshold_prune"):
    """Right answers, but for one whose cell or whose call goes off."""
    s.right()
    parameters = "model, masks, optimizer, batch" if name == "masked_train_step" else "w, t"
    body = "\n".join("    " + line for line in in_test.strip("\n").split("\n"))
    s.answer(name, f"{in_cell}\ndef {name}({parameters}):\n{body}\n    return w, np.ones(w.shape, bool)\n")


def one_exercise(tries, status=STOPPED, name="threshold_prune"):
    """An attack with one exercise, which must end in `status`."""
    return attack(tries, earns=others(name), status={name: status})


@one_exercise("a fork bomb of Python processes in a test")
def fork_bomb(s):
    bomb(s, in_test="""
import os, time
for _ in range(300):
    try:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
    except OSError:
        time.sleep(0.01)
while True:
    pass""", in_cell="")


@one_exercise("a fork bomb by the C library's fork, in the cell itself", status=("timeout", "crashed", "missing", "failed"))
def c_fork_bomb(s):
    bomb(s, in_cell="""
import ctypes, os, time
libc = ctypes.CDLL(None)
for _ in range(8):
    libc.fork()
time.sleep(30)
""")


@one_exercise("ten thousand threads")
def thread_bomb(s):
    bomb(s, in_test="""
import threading, time
for _ in range(10_000):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
time.sleep(60)""")


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


@one_exercise("6 GB spread over processes that each stay under the limit", status=("crashed", "timeout", "error"))
def memory_across_forks(s):
    bomb(s, in_test=ACROSS.format(start="os.fork() or grow(n)"))


@one_exercise("6 GB spread over processes that a second thread forks, where a supervisor may not look", status=("crashed", "timeout", "error"))
def memory_across_threads(s):
    bomb(s, in_test=ACROSS.format(start="threading.Thread(target=grow, args=(n,), daemon=True).start()"))




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


@one_exercise("recursion without end, in Python and in the C library", status=("error", "crashed", "timeout"))
def deep_recursion(s):
    bomb(s, in_test="""
import sys
sys.setrecursionlimit(10**8)
def down(x):
    return [down(x)]
down(0)""")


@one_exercise("an endless loop that swallows every exception and every signal", status="timeout")
def unstoppable_loop(s):
    bomb(s, in_test="""
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    try:
        while True:
            pass
    except BaseException:
        pass""")


@one_exercise("an endless loop in the cell itself", status="timeout")
def endless_cell(s):
    bomb(s, in_cell="while True:\n    pass")


@one_exercise("sleep for a day", status="timeout")
def sleeper(s):
    bomb(s, in_test="import time\ntime.sleep(86_400)")


@one_exercise("os._exit(0) in a test, as a run that went well", status="crashed")
def silent_exit(s):
    bomb(s, in_test="import os\nos._exit(0)")


@one_exercise("os._exit(0) in the cell, before anything is said", status=("crashed", "missing"))
def silent_exit_in_cell(s):
    bomb(s, in_cell="import os\nos._exit(0)")


@one_exercise("a segmentation fault in a test", status="crashed")
def segfault(s):
    bomb(s, in_test="import ctypes\nctypes.string_at(0)")


@one_exercise("a segmentation fault in the cell", status=("crashed", "missing"))
def segfault_in_cell(s):
    bomb(s, in_cell="import ctypes\nctypes.string_at(0)")


@one_exercise("SIGSTOP: neither dead nor alive", status="timeout")
def stopped(s):
    bomb(s, in_test="import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)")


@one_exercise("background processes left behind, in sessions of their own, that ignore hang-ups", status=("failed", "error"))
def left_behind(s):
    bomb(s, in_cell="""
import os, signal, time
for _ in range(10):
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            end = time.time() + 120
            while time.time() < end:
                time.sleep(0.5)
        os._exit(0)
""")


@one_exercise("a whole number whose text takes forever, a pattern that never matches, a sort that never ends", status=("timeout", "error"))
def slow_builtins(s):
    bomb(s, in_test="""
import re, sys
sys.set_int_max_str_digits(0)
re.match(r"(a+)+$", "a" * 40 + "b")
str(10 ** 10_000_000)""")


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


@one_exercise("a time-out in an extra cell behind the first exercise, then a fork that holds the pipes", status=("failed", "error", "timeout", "crashed"))
def held_pipes(s):
    bomb(s)
    s.extra("import os, time\nif os.fork():\n    os._exit(0)\ntime.sleep(15)", after="threshold_prune")
