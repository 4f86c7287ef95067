"""Devices to measure on: this processor, a CUDA device where there is one, and one with simulated time.

All have `clock()`, monotonic seconds; `time()`, the wall clock, which may be set; `synchronize()`, which waits until all work is done; and `event()`,
whose `record()` marks a place in the queue of work and whose `elapsed_time(end)` gives the milliseconds from one mark to a later one, and raises
RuntimeError while either is still ahead. Also `name`, for titles, and `place`, where torch puts models and tensors. Does not measure: that is assignment 12.
"""
import platform
import time

import torch


class CPU:
    """This processor. A call returns when its work is done, so nothing is ever left to wait for."""
    place = "cpu"

    def __init__(self):
        self.name = f"CPU ({platform.processor() or platform.machine()}, {torch.get_num_threads()} torch threads)"

    def clock(self) -> float:
        return time.perf_counter()

    def time(self) -> float:
        return time.time()

    def synchronize(self) -> None:
        pass

    def event(self) -> "Mark":
        return Mark(self)


class CUDA:
    """A CUDA device, the current one. A call returns as soon as its work is queued."""
    place = "cuda"

    def __init__(self):
        if not torch.cuda.is_available():
            raise RuntimeError("no CUDA device here; use CPU()")
        self.name = torch.cuda.get_device_name()

    def clock(self) -> float:
        return time.perf_counter()

    def time(self) -> float:
        return time.time()

    def synchronize(self) -> None:
        torch.cuda.synchronize()

    def event(self) -> torch.cuda.Event:
        return torch.cuda.Event(enable_timing=True)


def at_hand() -> CPU | CUDA:
    """The CUDA device, if there is one, else this processor."""
    return CUDA() if torch.cuda.is_available() else CPU()


class Simulated:
    """A device on which time passes only by what is done: the same calls always take the same time.

    `run(load)` stands for a piece of work. Launching it takes the host `launch` seconds; the device, one piece after the other, works on it for `load`
    times its duration: those of `cold` for the first runs, then those of `warm` over and over. Nothing else takes time, but `synchronize`, which waits.
    From run number `set_at` on (the first is 0) the wall clock is wrong by `set_by` seconds; it moves in steps of `tick` seconds, if that is not 0.
    """
    place, name = "cpu", "a simulated device"

    def __init__(self, cold: list[float], warm: list[float], launch: float = 1e-6, set_at: int = 0, set_by: float = 0.0,
                 tick: float = 0.0):
        self.cold, self.warm, self.launch, self.set_at, self.set_by, self.tick = list(cold), list(warm), launch, set_at, set_by, tick
        self.now, self.free, self.count = 40.0, 0.0, 0       # the host's clock; when the device will be done; runs so far

    def run(self, load: float = 1.0) -> None:
        number, self.count = self.count, self.count + 1
        warm = self.warm[(number - len(self.cold)) % len(self.warm)]
        self.now += self.launch
        self.free = max(self.free, self.now) + load * (self.cold[number] if number < len(self.cold) else warm)

    def clock(self) -> float:
        return self.now

    def time(self) -> float:
        now = self.now + (self.set_by if self.count > self.set_at else 0.0)
        return 1.7e9 + (now // self.tick * self.tick if self.tick else now)

    def synchronize(self) -> None:
        self.now = max(self.now, self.free)

    def event(self) -> "Mark":
        return Mark(self)

    def runs(self) -> int:
        """How often `run` was called: for tests, no device has it."""
        return self.count


class Mark:
    """An event of `CPU` or `Simulated`: the time at which the work before it is done."""

    def __init__(self, device):
        self.device, self.at = device, None

    def record(self) -> None:
        self.at = max(self.device.clock(), getattr(self.device, "free", 0.0))

    def elapsed_time(self, end: "Mark") -> float:
        if self.at is None or end.at is None or max(self.at, end.at) > self.device.clock():
            raise RuntimeError("an event is not recorded, or the device has not come to it yet: synchronize first")
        return 1000 * (end.at - self.at)


# What student code may call on a simulated device that stays with the judge.
METHODS = {Simulated: ("clock", "time", "synchronize", "event", "run", "runs"), Mark: ("record", "elapsed_time")}
