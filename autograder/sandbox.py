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
    """Serve until the grader hangs up. `settings`: JSON with `isolated`, `modules` and `limits`."""
    settings = json.loads(settings)
    isolated, limits = settings["isolated"], isolation.Limits(**settings["limits"])
    control = socket.socket(fileno=control_fd)
    if isolated:
        isolation.settle_zygote()
    shell = warm(settings["modules"])
    Shell.output_limit = limits.output
    control.send(b"ready")
    while True:
        message, fds, *_ = socket.recv_fds(control, 64, 250)
        if not message:
            return
        child = os.fork()
        if child == 0:
            _start_session(control, fds, shell, isolated, limits)
        os.waitpid(child, 0)
        for fd in fds:
            os.close(fd)


def warm(modules: list[str]) -> Shell:
    """Import what the assignment imports, quietly, and return a shell; both are then shared by all forks."""
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception:                            # the cell that imports it will say so
            pass
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    shell = Shell.instance()
    gc.collect()
    gc.freeze()
    return shell


def _start_session(control, fds, shell, isolated, limits):
    """In a fork of the zygote: close the sandbox around its own child, tell the grader that child's process, and end."""
    try:
        if isolated:
            isolation.enter_namespaces()
        child = os.fork()
        if child:
            socket.send_fds(control, [b"started"], [os.pidfd_open(child)])
            os._exit(0)
        _session(control, fds, shell, isolated, limits)
    except BaseException as error:
        control.send(f"{type(error).__name__}: {error}".encode()[:4096])
    finally:
        os._exit(1)


def _session(control, fds, shell, isolated, limits):
    run, *controls = [socket.socket(fileno=fd) for fd in fds]
    if isolated:
        isolation.settle_child(limits)
    else:
        isolation.adopt_orphans()
    control.close()
    os.setsid()
    quiet = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(quiet, fd)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    seconds = int(2 * (limits.cell_seconds + limits.test_seconds)) + 1
    isolation.limit_resources(limits, seconds, processes=isolated)
    channel = Channel(run)
    _, steps = channel.receive()
    Session(shell, channel, controls, limits, isolated).live([Step(*step) for step in steps])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
