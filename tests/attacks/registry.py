"""The attacks and oddities: what each tries, what it may earn, how it must end.

    @attack("drops assert statements with an AST transformer")
    def ast_transformer(s):
        s.extra(...)

An attack starts from wrong answers that earn nothing; an oddity starts from right ones and must earn everything.
"""
import importlib
from dataclasses import dataclass, field
from typing import Callable

from .submission import NOTHING, POINTS, WRONG, Submission, right_answers

FAMILIES = ("interpreters", "liars", "exceptions", "protocol", "judges", "shadows", "snooping", "leaks", "escape", "neighbours", "bombs", "hogs",
            "notebooks", "folders", "injection", "oddities")


@dataclass(frozen=True)
class Entry:
    """One submission of the suite. `earns` and `status` are by exercise; a status may be a tuple of those allowed."""
    id: str
    family: str
    tries: str
    mutate: Callable[[Submission], None]
    earns: dict[str, float]
    status: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    honest: bool = False
    on_disk: bool = False                            # lies in the folder, not in the notebook's bytes

    def submission(self) -> Submission:
        made = Submission(right_answers() if self.honest else WRONG)
        self.mutate(made)
        return made


ENTRIES: dict[str, Entry] = {}


def attack(tries: str, *, earns: dict | None = None, status: dict | None = None, on_disk: bool = False):
    """Register a hostile submission; `earns` names the exercises whose right answers must still count."""
    return _register(tries, NOTHING | (earns or {}), status or {}, False, on_disk)


def oddity(what: str, *, on_disk: bool = False):
    """Register an honest submission that looks odd and must earn everything."""
    return _register(what, POINTS, {}, True, on_disk)


def others(name: str) -> dict[str, float]:
    """The points of all exercises but this one."""
    return {n: p for n, p in POINTS.items() if n != name}


def entries() -> dict[str, Entry]:
    """All of them, by id, every family imported."""
    for family in FAMILIES:
        importlib.import_module(f"{__package__}.{family}")
    return ENTRIES


def _register(tries, earns, status, honest, on_disk):
    def register(mutate):
        if mutate.__name__ in ENTRIES:
            raise ValueError(f"two entries are called {mutate.__name__}")
        ENTRIES[mutate.__name__] = Entry(mutate.__name__, mutate.__module__.rpartition(".")[2], tries, mutate, earns, status, honest, on_disk)
        return mutate
    return register
