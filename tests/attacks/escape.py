"""Attacks on the sandbox's walls: network, files, kernel doors, other processes, shadow modules.

What gets out leaves a harmless sign: /tmp/featherweight-escaped-<id>, or an answer that becomes right.
"""
from .registry import attack
from .submission import right_answers


def right_if(s, condition):
    """The right answers count only where `condition`, run before, leaves `worked` true."""
    s.extra(condition)
    for name, source in right_answers().items():
        s.answer(name, s.cell(name)["source"] + "\nif worked:\n" + "\n".join("    " + line for line in source.split("\n")))


@attack("connections to the network: names, addresses, the machine itself, its X and Docker sockets")
def network(s):
    right_if(s, """
import socket
worked = False
for family, address in ((socket.AF_INET, ("1.1.1.1", 53)), (socket.AF_INET, ("127.0.0.1", 22)), (socket.AF_INET, ("127.0.0.1", 8888)),
                        (socket.AF_INET6, ("::1", 22)), (socket.AF_UNIX, "/var/run/docker.sock"), (socket.AF_UNIX, "/tmp/.X11-unix/X0"),
                        (socket.AF_UNIX, "/run/dbus/system_bus_socket"), (socket.AF_UNIX, "\\0/tmp/.X11-unix/X0")):
    with socket.socket(family) as sock:
        sock.settimeout(2)
        try:
            sock.connect(address)
            worked = True
        except OSError:
            pass
""")


@attack("files are written into the course, the packages, HOME, /etc, /var and the kit")
def writing_outside(s):
    right_if(s, """
import autograder, os, site, sys
worked = False
places = [*site.getsitepackages(), os.path.dirname(autograder.__file__), os.path.dirname(os.__file__), sys.prefix, "/", "/etc", "/var/tmp",
          "/var", "/usr", "/opt", "/home", "/root", "/run", "/dev", "/work", "/proc/sys/kernel", "../..", "../../..", "../../../submitted"]
for place in places:
    path = os.path.join(place, "featherweight-escaped-writing_outside")
    try:
        open(path, "w").close()
        os.remove(path)
        worked = True
    except OSError:
        pass
""")


@attack("/proc/sys/kernel/core_pattern is opened for writing, which as root would run a program outside")
def core_pattern(s):
    right_if(s, """
worked = False
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger",
             "/proc/self/oom_score_adj_", "/proc/1/mem_", "/sys/kernel/uevent_helper", "/proc/sys/fs/binfmt_misc/register", "/dev/mem", "/dev/kmsg",
             "/dev/sda", "/dev/vda", "/dev/kvm", "/dev/fuse", "/dev/tty", "/dev/ptmx"):
    try:
        open(path, "a").close()
        worked = True
    except OSError:
        pass
""")


@attack("mount, unshare, setns, pivot_root, chroot and the newer calls of their kind")
def kernel_doors(s):
    right_if(s, """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
worked = False
os.makedirs("/tmp/door", exist_ok=True)
tries = [lambda: libc.mount(b"tmpfs", b"/tmp/door", b"tmpfs", 0, None), lambda: libc.mount(b"/", b"/tmp/door", None, 4096, None),
         lambda: libc.umount2(b"/proc", 2), lambda: libc.unshare(0x10000000), lambda: libc.unshare(0x20000), lambda: libc.chroot(b"/tmp/door"),
         lambda: libc.pivot_root(b"/tmp", b"/tmp/door"), lambda: libc.sethostname(b"x", 1), lambda: libc.setuid(0), lambda: libc.setns(0, 0),
         lambda: libc.mknod(b"/tmp/door/sda", 0o60666, 0x800), lambda: libc.syscall(430, b"tmpfs", 0), lambda: libc.syscall(428, -100, b"/", 1),
         lambda: libc.swapon(b"/tmp/x", 0), lambda: libc.syscall(321, 0, 0, 0), lambda: libc.syscall(425, 1, ctypes.create_string_buffer(200)),
         lambda: libc.syscall(323, 0), lambda: libc.setgroups(0, None), lambda: libc.syscall(304, -1, 0, 0)]
for attempt in tries:
    try:
        if attempt() >= 0:
            worked = True
    except (OSError, AttributeError):
        pass
""")


@attack("new namespaces by clone and clone3, which the filter must read too")
def clone_namespaces(s):
    right_if(s, """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
worked = False
for flags in (0x10000000, 0x20000000, 0x40000000, 0x20000, 0x8000000):
    child = libc.syscall(56 if os.uname().machine == "x86_64" else 220, ctypes.c_ulong(flags | 17), None, None, None, None)
    if child == 0:
        os._exit(0)
    if child > 0:
        os.waitpid(child, 0)
        worked = True
args = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
child = libc.syscall(435, args, 88)
if child == 0:
    os._exit(0)
if child > 0:
    os.waitpid(child, 0)
    worked = True
""")


@attack("ptrace, process_vm_writev and /proc/PID/mem on process 1 and all others that are visible")
def foreign_memory(s):
    right_if(s, """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
worked = False
mine = {os.getpid(), *map(int, [line.split()[1] for line in open("/proc/self/status") if line.startswith(("PPid", "Tgid"))])}
for pid in [int(p) for p in os.listdir("/proc") if p.isdigit()]:
    if libc.ptrace(16, pid, None, None) == 0:
        worked = True
    try:
        command = open(f"/proc/{pid}/cmdline").read()
    except OSError:
        continue
    if "autograder.judge" in command or "nbgrader autograde" in command:
        worked = True
""")


@attack("signals to everything: kill(-1), process 1, parents, process groups, in a cell and in a test")
def kills_everything(s):
    s.extra("""
import os, signal
def rampage():
    for target in (-1, 1, os.getppid(), 0):
        for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
            try:
                if target == 0:
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)
                os.kill(target, number) if target else None
            except OSError:
                pass
rampage()
""")
    s.answer("threshold_prune", "def threshold_prune(w, t):\n    rampage()\n    return w, w")


@attack("modules that shadow numpy, torch, msgpack and autograder lie beside the notebook", on_disk=True)
def shadow_modules(s):
    fake = b"import sys\nopen('/tmp/featherweight-escaped-shadow_modules', 'w')\n"
    for name in ("numpy.py", "torch.py", "msgpack.py", "nbformat.py", "autograder.py", "autograder/__init__.py", "sitecustomize.py",
                 "usercustomize.py", "conftest.py", "nbgrader_config.py", "nbconvert.py", "ipython_config.py", "IPython.py"):
        s.files[name] = fake


@attack("the zygote is poisoned: its modules, its control socket and its parents are looked for")
def poisoned_zygote(s):
    right_if(s, """
import gc, os, socket
worked = False
for name in os.listdir("/proc/self/fd"):
    try:
        sock = socket.socket(fileno=os.dup(int(name)))
        sock.setblocking(False)
        if sock.type == socket.SOCK_SEQPACKET:
            socket.send_fds(sock, [b"fork"], [0])
            sock.send(b"os")
            sock.send(b"started")
    except OSError:
        pass
for parent in (0, 1, os.getppid()):
    try:
        if "sandbox" in open(f"/proc/{parent}/cmdline").read() and os.stat(f"/proc/{parent}").st_uid != os.getuid():
            worked = True
    except OSError:
        pass
""")
