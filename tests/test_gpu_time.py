"""The instruments of assignment 12 on real devices: what the reference measures on CUDA, where there is one, and on this processor.

Does not judge how fast a machine is: each test holds on any.
"""
import time
from types import SimpleNamespace

import pytest
import torch

from autograder import mistakes
from course import devices

from .conftest import ROOT, reference_source

NAME = "12-benchmarking"
GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]


def on_cuda(test):
    for mark in GPU:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def gpu_time():
    """The reference answer, as the notebook has it."""
    names = {}
    exec(reference_source(NAME, "gpu_time"), names)
    return names["gpu_time"]


@pytest.fixture(scope="module")
def by_events():
    """The alternative that takes events instead of the clock."""
    return next(known.target for known in mistakes.load(ROOT / "solutions" / NAME / "alternatives.py") if known.name == "events")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=GPU)])
def device(request):
    return devices.CPU() if request.param == "cpu" else devices.CUDA()


@on_cuda
def test_on_cuda_eight_times_the_work_takes_more_than_twice_as_long(gpu_time):
    device, x = devices.CUDA(), torch.randn(1024, 1024, device="cuda")

    def multiply(times):
        for _ in range(times):
            torch.mm(x, x)

    one, eight = (min(gpu_time(lambda: multiply(n), device, 2, 5) for _ in range(5)) for n in (1, 8))
    assert 0 < 2 * one < eight


def test_an_event_raises_until_it_is_recorded_and_never_runs_backwards(device):
    start, end = device.event(), device.event()
    with pytest.raises((RuntimeError, ValueError)):
        start.elapsed_time(end)
    start.record()
    torch.randn(512, 512, device=device.place).sum()
    end.record()
    device.synchronize()
    assert start.elapsed_time(end) >= 0


def test_the_clock_is_in_seconds_and_never_goes_back(gpu_time):
    device = devices.CPU()
    readings = [device.clock() for _ in range(1000)]
    assert readings == sorted(readings)
    start, end = device.event(), device.event()
    start.record()
    time.sleep(0.02)
    end.record()
    assert start.elapsed_time(end) >= 19
    assert gpu_time(lambda: time.sleep(0.02), device, 0, 2) >= 0.019


@on_cuda
def test_on_cuda_clock_and_events_agree_and_both_wait_for_the_device(gpu_time, by_events):
    device, x = devices.CUDA(), torch.randn(4096, 4096, device="cuda")
    work = SimpleNamespace(done=lambda: [torch.mm(x, x) for _ in range(10)])
    clock = min(gpu_time(work.done, device, 3, 10) for _ in range(3))
    events = min(by_events(work.done, device, 3, 10) for _ in range(3))
    start = device.clock()
    for _ in range(10):
        work.done()
    launched = (device.clock() - start) / 10                  # what is timed without a synchronization
    device.synchronize()
    assert abs(clock / events - 1) < 0.2
    assert launched < clock


@on_cuda
def test_on_cuda_an_event_raises_before_the_device_has_come_to_it():
    device, x = devices.CUDA(), torch.randn(8192, 8192, device="cuda")
    torch.mm(x, x)
    device.synchronize()
    start, end = device.event(), device.event()
    start.record()
    for _ in range(50):
        torch.mm(x, x)
    end.record()
    with pytest.raises(RuntimeError):
        start.elapsed_time(end)
    device.synchronize()
    assert start.elapsed_time(end) > 0


def test_on_a_simulated_device_the_clock_and_events_give_the_time_that_was_set(gpu_time, by_events):
    for measure in (gpu_time, by_events):
        device = devices.Simulated(cold=[0.5], warm=[0.002], launch=1e-5, set_at=5, set_by=-3600.0)
        assert measure(device.run, device, 1, 10) == pytest.approx(0.002, rel=0.01)
        assert device.runs() == 11


def test_a_simulated_device_does_not_wait_unless_told():
    device = devices.Simulated(cold=[], warm=[1.0], launch=0.001)
    start, end = device.event(), device.event()
    began = device.clock()
    start.record()
    device.run()
    end.record()
    assert device.clock() - began == pytest.approx(0.001)
    with pytest.raises(RuntimeError):
        start.elapsed_time(end)
    device.synchronize()
    assert start.elapsed_time(end) == pytest.approx(1001)
    assert device.clock() - began == pytest.approx(1.001)


def test_the_wall_clock_of_a_simulated_device_can_be_set_and_moves_in_steps():
    device = devices.Simulated(cold=[], warm=[0.0], launch=0.25, set_at=1, set_by=-100.0, tick=1.0)
    readings = []
    for _ in range(3):
        readings.append(device.time())
        device.run()
    assert readings == [1.7e9 + 40, 1.7e9 + 40, 1.7e9 - 60]
