"""The zygote inside bubblewrap: has the packages imported and no secrets, and forks one session per submission.

Started by `grader.Zygote`; each request on its control socket carries the sockets of one submission.
"""
import gc
import importlib
import os
import signal
import socket
import sys

from . import isolation
from .channel import Channel
from .session import Session
from .shell import Shell


def main(control: socket.socket, isolated: bool, modules: list[str], shown: list[str]):
    """Serve until the grader hangs up. `modules` are imported at once, `shown` are the paths that the sandbox can see."""
    if isolated:
        isolation.settle_zygote()
    shell = warm([*modules, "matplotlib.pyplot", "matplotlib_inline.backend_inline"])      # students plot
    fork_on_request(control, lambda fds: _start_session(control, fds, shell, isolated, shown))


def fork_on_request(control: socket.socket, work):
    """What a zygote does until the grader hangs up: for each request fork a child that runs `work(fds)`; import what it names in between."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)    # nobody waits for the children
    control.send(b"ready")
    while True:
        message, fds, *_ = socket.recv_fds(control, 1 << 16, 250)
        if not message:
            return
        if not fds:
            import_all(message.decode().split())
            control.send(b"imported")
        elif os.fork() == 0:
            try:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                work(fds)
            except BaseException as error:
                control.send(f"{type(error).__name__}: {error}".encode()[:4096])
            finally:
                os._exit(0)
        for fd in fds:
            os.close(fd)


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


def _start_session(control, fds, shell, isolated, shown):
    """In a fork of the zygote: close the sandbox around its own child, tell the grader that child's process, and end; the child goes on."""
    if isolated:
        isolation.enter_namespaces()
    if child := os.fork():
        socket.send_fds(control, [b"started"], [os.pidfd_open(child)])
        return
    control.close()
    run, *controls = [socket.socket(fileno=fd) for fd in fds]
    channel = Channel(run)
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
        while os.wait()[0] != base:                  # the first process of the namespaces buries every orphan until then
            pass
        return
    seconds = int(2 * (limits.cell_seconds + limits.test_seconds)) + 1
    isolation.limit_resources(limits, seconds, processes=isolated)
    Session(shell, channel, controls, limits, isolated).live(steps)

