"""Reads what students handed in, and trusts no name, link or file in it."""
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from .graft import MAX_BYTES
from .layout import Layout

EXPECTED = ("timestamp.txt",)


@dataclass(frozen=True)
class Submission:
    """One student's notebook as bytes (empty if there is none to read), and what was odd about the folder."""
    student: str
    notebook: bytes
    timestamp: str | None
    flags: tuple[str, ...]


def students(layout: Layout, assignment: str) -> list[str]:
    """Everyone with a folder for this assignment, in order."""
    return sorted(p.parent.name for p in (layout.root / "submitted").glob(f"*/{assignment}") if not p.parent.name.startswith("."))


def read(layout: Layout, assignment: str, student: str) -> Submission:
    """Read one submission; links and unexpected files are refused and flagged, never followed."""
    folder, flags = layout.submitted(assignment, student), []
    if folder.is_symlink() or folder.parent.is_symlink() or not folder.is_dir():
        return Submission(student, b"", None, ("refused: the submission is not a folder",))
    wanted = f"{assignment}.ipynb"
    entries = sorted(os.listdir(folder))
    if wanted not in entries:
        notebooks = [e for e in entries if e.endswith(".ipynb") and _read_file(folder / e, 0) is not None]
        if len(notebooks) == 1:
            flags.append(f"renamed: {notebooks[0]!a} was taken for {wanted}")
            wanted = notebooks[0]
    flags += [f"refused: {e!a}" for e in entries if e not in (wanted, *EXPECTED)][:10]
    notebook = _read_file(folder / wanted, MAX_BYTES + 1)
    if notebook is None:
        flags.append("missing: there is no notebook" if wanted not in entries else "refused: the notebook is no plain file")
    stamp = _read_file(folder / "timestamp.txt", 100)
    return Submission(student, notebook or b"", stamp.decode("ascii", "replace").strip() if stamp else None, tuple(flags))


def remove_refused(layout: Layout, assignment: str, student: str):
    """Delete from the autograded folder what nbgrader copied there from a submission and `read` refuses."""
    folder, ours = layout.autograded(assignment, student), layout.source(assignment).parent
    for path in [p for p in folder.rglob("*") if not p.is_dir()]:
        name = str(path.relative_to(folder))
        handed_in = name in (f"{assignment}.ipynb", *EXPECTED) and _read_file(layout.submitted(assignment, student) / name, 0) is not None
        if not handed_in and not (ours / name).exists():
            path.unlink()


def _read_file(path: Path, limit: int) -> bytes | None:
    """The first `limit` bytes of a plain file; None for anything else."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return os.close(fd)
    with open(fd, "rb") as file:
        return file.read(limit)
