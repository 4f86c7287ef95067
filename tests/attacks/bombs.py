"""Attacks on time and processes by one exercise; the other two are right and must stay so."""
from .registry import attack, others

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


@one_exercise("a time-out in an extra cell behind the first exercise, then a fork that holds the pipes", status=("failed", "error", "timeout", "crashed"))
def held_pipes(s):
    bomb(s)
    s.extra("import os, time\nif os.fork():\n    os._exit(0)\ntime.sleep(15)", after="threshold_prune")


@one_exercise("lines that a pattern of ours might read over and over, and names without end", status=STOPPED)
def slow_to_read(s):
    bomb(s)
    for line in ("x =" + " " * 100_000 + "(", "import" + " " * 100_000 + "(", "a=1\n" * 10_000):
        s.extra(line)


@one_exercise("an exit that comes later, from a thread left running", status=STOPPED)
def delayed_exit(s):
    bomb(s, in_cell="import os, threading\nthreading.Timer(0.3, os._exit, (0,)).start()")


@one_exercise("builtins are broken by the last answer's cell, whose process can then not even say so", name="masked_train_step")
def broken_interpreter(s):
    bomb(s, in_cell="import builtins\nbuiltins.len = builtins.isinstance = builtins.type = builtins.getattr = None", name="masked_train_step")


@one_exercise("a process that dies after it has reported its cell as run, before it is thanked for it", status=STOPPED)
def dies_after_its_report(s):
    bomb(s, in_cell="""
import os, sys
if "autograder.session" in sys.modules:
    sys.modules["autograder.session"].Session._stop_strays = lambda self: os._exit(3)
""")
