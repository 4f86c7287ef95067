"""The lessons: their stored outputs are what their cells print, they read well unexecuted, and they give no exercise's answer away."""
import ast
import copy
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from course import journey

from .conftest import ROOT

LESSONS = sorted((ROOT / "course" / "lessons").glob("*.ipynb"))
SECONDS = 300                                                  # of one cell; the slowest takes about 20 on an idle core


def nbval(*notebooks: Path) -> subprocess.CompletedProcess:
    """Run the notebooks and compare their text outputs, and no images, with the stored ones."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.ipc_kernels", "--nbval", "--nbval-current-env", f"--nbval-cell-timeout={SECONDS}",
         "--nbval-kernel-startup-timeout=120", "-p", "no:cacheprovider", "--color=no", *notebooks], cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request) -> nbformat.NotebookNode:
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_lessons_print_what_they_have_stored():
    run = nbval(*LESSONS)
    cells = sum(len(code_cells(nbformat.read(path, as_version=4))) for path in LESSONS)
    assert run.returncode == 0 and f"{cells} passed" in run.stdout, run.stdout + run.stderr


def test_a_lesson_with_one_changed_digit_fails_at_its_cell(tmp_path):
    """The first cell that prints a digit; the cells after it are cut off, as they would only take time."""
    lesson = nbformat.read(LESSONS[0], as_version=4)
    number, printed = next((number, output) for number, cell in enumerate(code_cells(lesson)) for output in cell.outputs
                           if output.output_type == "stream" and re.search(r"\d", output.text))
    changed = copy.deepcopy(lesson)
    changed.cells = changed.cells[:changed.cells.index(code_cells(changed)[number]) + 1]
    output = next(output for output in changed.cells[-1].outputs if output.get("text") == printed.text)
    output.text = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), output.text, count=1)
    nbformat.write(changed, tmp_path / "changed.ipynb")
    run = nbval(tmp_path / "changed.ipynb")
    assert run.returncode == 1 and "1 failed" in run.stdout and (f"{number} passed" in run.stdout or number == 0), run.stdout + run.stderr
    assert re.search(rf"FAILED \S*changed\.ipynb::Cell {number}\b", run.stdout), run.stdout


def test_lessons_read_well_unexecuted(lesson):
    """Every cell was run, in order; what prints or shows has its output; nothing failed or warned."""
    assert [cell.execution_count for cell in code_cells(lesson)] == list(range(1, len(code_cells(lesson)) + 1))
    for cell in code_cells(lesson):
        kinds = {output.output_type for output in cell.outputs}
        assert "error" not in kinds, cell.source
        assert not any(output.get("name") == "stderr" for output in cell.outputs), cell.source
        assert "print(" not in cell.source or "stream" in kinds, cell.source
        assert "plt.show()" not in cell.source or any("image/png" in output.get("data", {}) for output in cell.outputs), cell.source


@pytest.mark.parametrize("name, row", [(name, row) for name, rows in journey.stored().items() for row in rows], ids=lambda value: getattr(value, "step", value))
def test_the_rows_of_the_running_table_are_those_that_the_lessons_print(name, row):
    lesson = nbformat.read(ROOT / "course" / "lessons" / f"{name}.ipynb", as_version=4)
    assert str(row) in "".join(output.text for cell in code_cells(lesson) for output in cell.outputs if output.output_type == "stream").splitlines()


def test_lessons_define_no_exercise(lesson):
    exercises = {name for source in (ROOT / "solutions").glob("*/notebook.py") for name in re.findall(r'answer="(\w+)"', source.read_text())}
    assert exercises
    tree = ast.parse("\n".join(cell.source for cell in code_cells(lesson)))
    defined = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    defined |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    assert defined & exercises == set()


def test_every_lesson_belongs_to_an_assignment():
    assert LESSONS and {path.stem for path in LESSONS} <= {folder.name for folder in (ROOT / "solutions").iterdir()}
