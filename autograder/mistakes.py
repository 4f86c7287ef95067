"""Known wrong answers with their diagnoses, and other right answers: how authors write them, and how they are read back.

    @mistake("magnitude_mask", "You ranked by signed value, so large negative weights were pruned first.")
    def signed(w, s): ...

Where an answer cell defines several names, the decorated object is a class that holds them. These stay with the judge.
"""
import ast
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from .assignment import AssignmentError


@dataclass(frozen=True)
class KnownAnswer:
    """A wrong answer (with a diagnosis) or another right one (without)."""
    exercise: str
    name: str
    diagnosis: str | None
    target: object
    source: str

    def definitions(self, names: list[str]) -> dict:
        """What it gives for each of the names that the answer cell defines."""
        if len(names) == 1:
            return {names[0]: self.target}
        return {name: vars(self.target)[name] for name in names if name in vars(self.target)}

    def cell(self, names: list[str]) -> str:
        """The same answer as a student would hand it in."""
        given = [f"{names[0]} = {self.name}"] if len(names) == 1 else [f"{n} = {self.name}.{n}" for n in self.definitions(names)]
        return self.source + "\n\n" + "\n".join(given)


_marks: list[tuple] = []


def mistake(exercise: str, diagnosis: str | None):
    """Mark a function or class as a wrong answer to `exercise`; `diagnosis` is what a student who made it is told."""
    def mark(target):
        _marks.append((exercise, target.__name__, diagnosis, target))
        return target
    return mark


def alternative(exercise: str):
    """Mark a function or class as another right answer to `exercise`."""
    return mistake(exercise, None)


def load(path: Path | None) -> list[KnownAnswer]:
    """The known answers of a file, in its order; none where there is no file."""
    if path is None or not path.exists():
        return []
    spec = importlib.util.spec_from_file_location("autograder_known_answers", path)
    module = importlib.util.module_from_spec(spec)
    _marks.clear()
    spec.loader.exec_module(module)
    marked, shared, cells = {name for _, name, _, _ in _marks}, [], {}
    for node in ast.parse(path.read_text()).body:
        if getattr(node, "name", None) in marked:
            node.decorator_list = []
            cells[node.name] = ast.unparse(node)
        elif not (isinstance(node, ast.Expr) or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("autograder"))):
            shared.append(ast.unparse(node))
    if len(marked) != len(_marks):
        raise AssignmentError(f"{path}: two known answers share a name; rename one")
    return [KnownAnswer(exercise, name, diagnosis, target, "\n".join([*shared, "", cells[name]]))
            for exercise, name, diagnosis, target in _marks]
