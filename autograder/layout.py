"""Where everything is, under one root: nbgrader's directories mapped onto the course's layout."""
from dataclasses import dataclass
from pathlib import Path

from .assignment import Assignment, AssignmentError


@dataclass(frozen=True)
class Layout:
    """Paths of a course. `root` holds solutions/, assignments/, submitted/, autograded/, build/ and gradebook.db."""
    root: Path

    def solution(self, name: str) -> Path:
        return self.root / "solutions" / name

    def source(self, name: str) -> Path:
        return self.root / "build" / "source" / name / f"{name}.ipynb"

    def release(self, name: str) -> Path:
        return self.root / "assignments" / name / f"{name}.ipynb"

    def mistakes(self, name: str) -> Path:
        return self.solution(name) / "mistakes.py"

    @property
    def questions(self) -> Path:
        """The question bank. The sandbox does not show it."""
        return self.root / "course" / "interview"

    def submitted(self, name: str, student: str) -> Path:
        return self.root / "submitted" / student / name

    def autograded(self, name: str, student: str) -> Path:
        return self.root / "autograded" / student / name

    def feedback(self, name: str, student: str) -> Path:
        return self.root / "feedback" / student / name / f"{name}.html"

    @property
    def database(self) -> str:
        return f"sqlite:///{self.root / 'gradebook.db'}"

    def assignments(self) -> list[str]:
        """The names of all assignments with a source, in order."""
        return sorted(p.parent.name for p in (self.root / "solutions").glob("*/notebook.*"))

    def paths(self, name: str) -> dict[str, Path]:
        return {"source": self.source(name), "release": self.release(name), "mistakes": self.mistakes(name)}

    def load(self, name: str) -> Assignment:
        """The built assignment; raises AssignmentError where there is none."""
        if name not in self.assignments():
            known = ", ".join(self.assignments()) or "none"
            raise AssignmentError(f"no assignment {name!r} in {self.root / 'solutions'}; there are: {known}")
        if not self.source(name).exists() or not self.release(name).exists():
            raise AssignmentError(f"{name} is not built; run: autograder build {name}")
        return Assignment.load(name, **self.paths(name))
