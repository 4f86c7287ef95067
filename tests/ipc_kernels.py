"""A pytest plugin for nbval, `-p tests.ipc_kernels`: kernels that speak over Unix sockets, not over unencrypted TCP."""
import itertools
import tempfile
from pathlib import Path

import nbval.kernel
from jupyter_client.manager import KernelManager

FOLDER = tempfile.TemporaryDirectory(prefix="kernels")          # a short path: a Unix socket's has 107 characters at most
NUMBERS = itertools.count()


def over_sockets(**options) -> KernelManager:
    return KernelManager(transport="ipc", ip=str(Path(FOLDER.name) / str(next(NUMBERS))), **options)


nbval.kernel.KernelManager = over_sockets
