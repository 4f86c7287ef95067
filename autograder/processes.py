"""Processes as /proc shows them: which are below which, what memory they hold, and how to end them."""
import contextlib
import glob
import os
import re
import signal


def descendants(pid: int) -> list[int]:
    """A process and all below it; none if it is gone (its pidfd then says −1, which to kill would mean everyone)."""
    found = [pid] if pid > 0 else []
    for one in found:
        for path in glob.glob(f"/proc/{one}/task/*/children"):         # each thread has its own
            found += map(int, _read(path).split())
    return found


def pid_of(pidfd: int) -> int:
    """The process that a pidfd stands for; −1 if it is gone."""
    return int(re.search(r"Pid:\s+(-?\d+)", _read(f"/proc/self/fdinfo/{pidfd}"))[1])


def memory(pid: int, file: str = "smaps_rollup") -> dict[str, int]:
    """The sizes in bytes that a file of /proc gives for a process; none if it is gone. `Pss` counts its share of what it holds with others."""
    return {name: int(size) << 10 for name, size in re.findall(r"(\w+):\s+(\d+) kB", _read(f"/proc/{pid}/{file}"))}


def heaviest_over(base: int, limit: int) -> int | None:
    """The process to end if `base` and its descendants together hold more than `limit` bytes of memory of their own; else None."""
    group = descendants(base)
    if sum(memory(pid, "status").get("VmRSS", 0) for pid in group) <= limit:         # an upper bound: forks share much of it; cheap
        return None
    sizes = {pid: memory(pid) for pid in group}
    if sum(size.get("Pss", 0) for size in sizes.values()) <= limit:
        return None
    # Most memory of its own: never a frozen checkpoint, whose forks share it.
    return max(sizes, key=lambda pid: sizes[pid].get("Private_Clean", 0) + sizes[pid].get("Private_Dirty", 0))


def kill(pid: int):
    """End a process, if it still runs."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _read(path) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
