"""The zygote inside bubblewrap: has the packages imported and no secrets, and forks one session per submission.

Started by `grader.Zygote`; each request on its control socket carries the sockets of one submission.
"""
import gc
import importlib
import json
import os
import signal
import socket
import sys

from . import isolation
from .channel import Channel
from .session import Session, Step
from .shell import Shell


def main(control_fd: int, settings: str):
    """Serve until the grader hangs up. `settings`: JSON with `isolated`, `modules` and `shown`."""
    settings = json.loads(settings)
    control = socket.socket(fileno=control_fd)
    if settings["isolated"]:
        isolation.settle_zygote()
    shell = warm([*settings["modules"], "matplotlib.pyplot", "matplotlib_inline.backend_inline"])      # students plot
    control.send(b"ready")
    for fds in requests(control):
        child = os.fork()
        if child == 0:
            _start_session(control, fds, shell, settings)
        os.waitpid(child, 0)
        for fd in fds:
            os.close(fd)


def requests(control: socket.socket):
    """The descriptors that come with each request for a fork, until the grader hangs up; imports what it names in between."""
    while True:
        message, fds, *_ = socket.recv_fds(control, 1 << 16, 250)
        if not message:
            return
        if fds:
            yield fds
        else:
            import_all(message.decode().split())
            control.send(b"imported")


def import_all(modules: list[str]):
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception:                            # the cell that imports it will say so
            pass
    gc.collect()
    gc.freeze()


def warm(modules: list[str]) -> Shell:
    """Import what the assignment imports and return a shell; all forks share both."""
    import_all(modules)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    return Shell.instance()


def _start_session(control, fds, shell, settings):
    """In a fork of the zygote: close the sandbox around its own child, tell the grader that child's process, and end."""
    try:
        if settings["isolated"]:
            isolation.enter_namespaces()
        child = os.fork()
        if child:
            socket.send_fds(control, [b"started"], [os.pidfd_open(child)])
            os._exit(0)
        _session(control, fds, shell, **settings)
    except BaseException as error:
        control.send(f"{type(error).__name__}: {error}".encode()[:4096])
    finally:
        os._exit(1)


def _session(control, fds, shell, isolated, shown, **_):
    run, *controls = [socket.socket(fileno=fd) for fd in fds]
    channel = Channel(run)
    control.close()
    _, steps, limits = channel.receive()
    limits = isolation.Limits(**limits)
    Shell.output_limit = limits.output
    if isolated:
        isolation.settle_child(limits, shown)
    else:
        isolation.adopt_orphans()
    os.setsid()
    quiet = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(quiet, fd)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if base := os.fork():
        _bury_until(base)
    seconds = int(2 * (limits.cell_seconds + limits.test_seconds)) + 1
    isolation.limit_resources(limits, seconds, processes=isolated)
    Session(shell, channel, controls, limits, isolated).live([Step(*step) for step in steps])


def _bury_until(base: int):
    """What the first process of the namespaces does: wait for every orphan, until the base checkpoint ends."""
    while os.wait()[0] != base:
        pass
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
