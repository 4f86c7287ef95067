"""What keeps student code in: bubblewrap around the zygotes; namespaces, limits and a system-call filter around each child of the sandbox's.

A zygote sees the interpreter, its packages, `course/` (without the question bank) and `autograder/`, read-only, and no network; the judge's
sees its assignment besides. Run by root, it drops to an unused user before it serves (a user namespace alone would leave it root's right
to write /proc/sys).
Each child gets its own user, PID, IPC, mount and network namespaces, a private tmpfs, and no capability.
"""
import ctypes
import os
import resource
import shutil
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

INSTALL = "bubblewrap is missing: install it (Debian: apt-get install bubblewrap; conda: conda install bubblewrap), or choose --isolation process"
NOBODY = 65534
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC = 2, 4, 8, 4096, 16384
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 1, 4, 22, 24, 38, 36


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Seconds of wall time, bytes, counts.

    `memory` is for all processes of a submission together; one alone meets a MemoryError at three quarters of it.
    """
    cell_seconds: float = 60.0
    test_seconds: float = 60.0
    memory: int = 2 << 30
    disk: int = 64 << 20
    processes: int = 64
    output: int = 256 << 10
    open_files: int = 256


class IsolationError(Exception):
    """The chosen isolation is not to be had on this machine."""


def bubblewrap(root: Path, inherit: dict[str, str], own: list[Path] | None = None) -> list[str]:
    """The command prefix that runs a program inside bubblewrap; raises IsolationError where there is none.

    With `own`, files that it sees besides, it stays in the PID namespace of its parent, as the judge must: it ends sandboxes by pidfd.
    """
    if not shutil.which("bwrap"):
        raise IsolationError(INSTALL)
    arguments = ["bwrap", *(["--unshare-pid"] if own is None else []), "--unshare-ipc", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try",
                 "--die-with-parent", "--new-session", "--clearenv"]
    arguments += ["--unshare-user"] if os.getuid() else []
    arguments += ["--perms", "1777", "--tmpfs", "/tmp"]
    shown = shown_paths(root) | {str(path) for path in own or ()}
    for folder in sorted({str(parent) for path in shown for parent in Path(path).parents}):
        arguments += ["--perms", "0755", "--dir", folder] if folder != "/" else []
    for path in sorted(shown):                      # a path comes before what lies inside it
        if os.path.islink(path) and not path.startswith("/etc"):
            arguments += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            arguments += ["--ro-bind", path, path]
    bank = root / "course" / "interview"            # the answers to the concept checks: an empty folder in its place
    if bank.is_dir() and not bank.parent.is_symlink():
        arguments += ["--tmpfs", str(bank), "--remount-ro", str(bank)]
    arguments += ["--proc", "/proc"] if own is None else ["--ro-bind", "/proc", "/proc"]
    arguments += ["--tmpfs", "/dev", "--dir", "/dev/shm"]
    for device in ("null", "zero", "full", "random", "urandom"):
        arguments += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        arguments += ["--symlink", f"/proc/self/fd{target}", f"/dev/{name}"]
    for name, value in inherit.items():
        arguments += ["--setenv", name, value]
    return [*arguments, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]


def shown_paths(root: Path) -> set[str]:
    """All that the sandbox can see of this machine, read-only."""
    return {"/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", sys.prefix, sys.base_prefix,
            str(Path(__file__).resolve().parent), str(root / "course")}


def settle_zygote():
    """In a zygote, before it serves: give up root and what could be gained later."""
    for cover in ("irq", "bus", "sysrq-trigger", "sys"):       # what bubblewrap lays over /proc forbids a new /proc in a child
        libc.umount2(f"/proc/{cover}".encode(), 2)
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)                # else its own /proc/self stays root's
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def enter_namespaces():
    """In a child: new namespaces. The caller forks next; that child is their first process and calls `settle_child`."""
    user, group = os.getuid(), os.getgid()
    _check(libc.unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWNET), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        Path(f"/proc/self/{name}").write_text(text)


def settle_child(limits: Limits, shown: list[str]):
    """In the first process of the new namespaces: its own /proc and /tmp, no capability, no way to new ones.

    What is `shown` inside /tmp (a course that lies there) is laid over the new /tmp again.
    """
    safe = MS_NOSUID | MS_NODEV
    _check(libc.mount(b"proc", b"/proc", b"proc", safe | MS_NOEXEC, None), "mount /proc")
    covered = {path: os.open(path, os.O_PATH) for path in sorted(shown) if path.startswith("/tmp/") and os.path.exists(path)}
    for place, share in (("/tmp", 3), ("/dev/shm", 1)):
        size = f"size={limits.disk * share // 4},nr_inodes=10000,mode=700"
        _check(libc.mount(b"tmpfs", place.encode(), b"tmpfs", safe, size.encode()), f"mount {place}")
    for path, fd in covered.items():
        os.makedirs(path)
        _check(libc.mount(f"/proc/self/fd/{fd}".encode(), path.encode(), None, MS_BIND | MS_REC, None), f"mount {path}")
        os.close(fd)
    os.chdir("/tmp")
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    _check(libc.capset(struct.pack("Ii", 0x20080522, 0), bytes(24)), "capset")
    _filter_system_calls()


def limit_resources(limits: Limits, seconds: int, processes: bool = True):
    """Limits that a process and all its descendants keep; `seconds` is CPU time of each."""
    used = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) * 1024
    for kind, value in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_DATA, used + limits.memory * 3 // 4), (resource.RLIMIT_CORE, 0),
                        (resource.RLIMIT_FSIZE, limits.disk), (resource.RLIMIT_NOFILE, limits.open_files),
                        (resource.RLIMIT_MEMLOCK, 0)):
        resource.setrlimit(kind, (value, value))
    if processes:                                    # outside a user namespace of its own this would count the user's other processes
        resource.setrlimit(resource.RLIMIT_NPROC, (limits.processes, limits.processes))


def die_with_parent():
    """Have the kernel kill this process when its parent ends."""
    libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)


def adopt_orphans():
    """Make this process the parent of its descendants' orphans, so that all of them can be found."""
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


# System calls that no exercise needs, and that give memory no limit counts, new namespaces, or a hold on other processes:
# their numbers on x86_64 and on aarch64.
DENIED = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
}
MACHINES = {"x86_64": (0, 0xC000003E, 56), "aarch64": (1, 0xC00000B7, 220)}     # column, audit architecture, clone
CLONE3 = 435


def _filter_system_calls():
    """Install a seccomp filter: ptrace, mount, namespaces, memfd, shared memory, bpf, keys, io_uring … fail with EPERM.

    clone3 fails with ENOSYS, so that libc falls back to clone, whose flags a filter can read.
    """
    if os.uname().machine not in MACHINES:
        return
    column, arch, clone = MACHINES[os.uname().machine]
    load, equal, any_bit, ret = 0x20, 0x15, 0x45, 0x06
    allow, eperm, enosys, kill = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
    new_namespace = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWNET | 0x2000000 | 0x4000000
    code = [(load, 0, 0, 4), (equal, 1, 0, arch), (ret, 0, 0, kill), (load, 0, 0, 0),
            (equal, 0, 1, CLONE3), (ret, 0, 0, enosys),
            (equal, 0, 4, clone), (load, 0, 0, 16), (any_bit, 0, 1, new_namespace), (ret, 0, 0, eperm), (ret, 0, 0, allow)]
    if column == 0:                           # the x32 calls are other numbers for the same doors
        code += [(0x35, 0, 1, 0x40000000), (ret, 0, 0, eperm)]
    for numbers in DENIED.values():
        code += [(equal, 0, 1, numbers[column]), (ret, 0, 0, eperm)]
    code += [(ret, 0, 0, allow)]
    program = b"".join(struct.pack("HBBI", *step) for step in code)
    buffer = ctypes.create_string_buffer(program, len(program))
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code), ctypes.addressof(buffer)))
    _check(libc.prctl(PR_SET_SECCOMP, 2, head, 0, 0), "seccomp")


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise IsolationError(f"the sandbox could not be closed ({what}: {os.strerror(number)}); check that user namespaces are allowed")
