"""`make bench`: the same submissions graded by stock `nbgrader autograde` and by `autograder grade`, on the same two cores.

Prints, for a light notebook (the two exercises on arrays) and for the whole one: seconds per submission once each has started, their
ratio, whole-command times, the overhead beyond what the submission's own cells take in a warm process, and where the time goes.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import torch

from autograder.assignment import grade_id, role
from autograder.build import build
from autograder.gradebook import Writer
from autograder.grader import Grader
from autograder.layout import Layout
from autograder.result import Result
from autograder.shell import Shell

from .trimmed import trim

ROOT = Path(__file__).resolve().parent.parent
NAME = "01-magnitude-pruning"
LIGHT = {"threshold_prune", "magnitude_mask"}            # the exercises of the light notebook
STOCK = "c = get_config()\nc.CourseDirectory.source_directory = 'build/source'\nc.CourseDirectory.release_directory = 'assignments'\n"
ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def course(place: Path, light: bool) -> Layout:
    """The course in a folder of its own; light: two exercises on arrays, no training."""
    for part in ("solutions", "course"):
        shutil.copytree(ROOT / part, place / part, ignore=shutil.ignore_patterns("__pycache__"))
    layout = Layout(place)
    if light:
        trim(layout, NAME, LIGHT)
        for kind in ("mistakes", "alternatives"):
            (layout.solution(NAME) / f"{kind}.py").unlink()
    build(layout, NAME)
    return layout


def answered(layout: Layout) -> bytes:
    """The release notebook with the reference's answers."""
    assignment = layout.load(NAME)
    answers = {grade_id(c): c.source for c in assignment.source.cells if role(c) == "answer"}
    notebook = nbformat.from_dict(assignment.release)
    for cell in notebook.cells:
        cell.source = answers.get(grade_id(cell), cell.source)
    return nbformat.writes(notebook).encode()


def submit(layout: Layout, count: int):
    notebook = answered(layout)
    for number in range(count):
        folder = layout.submitted(NAME, f"s{number:03}")
        folder.mkdir(parents=True)
        (folder / f"{NAME}.ipynb").write_bytes(notebook)


def timed(layout: Layout, *command: str) -> tuple[float, float]:
    """Seconds of the whole command, and seconds per submission between the first and the last it wrote."""
    start = time.perf_counter()
    subprocess.run(command, cwd=layout.root, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    whole = time.perf_counter() - start
    written = sorted(p.stat().st_mtime for p in (layout.root / "autograded").glob(f"*/{NAME}/{NAME}.ipynb"))
    return whole, (written[-1] - written[0]) / (len(written) - 1)


def own_seconds(layout: Layout, rounds: int = 7) -> float:
    """What a submission's cells, answers and tests, take in a warm process without any isolation: the median."""
    torch.set_num_threads(1)                         # as in the sandbox
    shell, cells = Shell.instance(), [c for c in layout.load(NAME).source.cells if c.cell_type == "code"]
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for cell in cells:
            _, error = shell.run(cell.source, "bench")
            assert error is None, error
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def breakdown(layout: Layout, rounds: int = 10) -> list[tuple[str, float]]:
    """Median seconds by part, one submission at a time."""
    assignment, notebook, parts = layout.load(NAME), answered(layout), []
    with Grader(layout.root, assignment, layout.paths(NAME)) as grader, Writer(layout, assignment) as writer:
        for _ in range(rounds):
            start = time.perf_counter()
            told = grader.ask(notebook)
            graded = time.perf_counter()
            writer.write(Result.from_judge("bench", told, 0.0))
            parts.append((sum(told["cell_seconds"].values()), sum(told["test_seconds"].values()), graded - start, time.perf_counter() - graded))
    cells, tests, whole, write = (statistics.median(column) for column in zip(*parts))
    return [("the student's cells run", cells), ("tests, both sides, and their forks", tests),
            ("graft, forks, namespaces, transfer, autograded notebook", whole - cells - tests), ("gradebook and files (while the next is graded)", write),
            ("all of it, one at a time", whole + write)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stock", type=int, default=6, help="submissions for stock nbgrader")
    parser.add_argument("--ours", type=int, default=60, help="submissions for autograder grade")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    for title, light in (("light notebook: two exercises on arrays, no training", True), ("the whole notebook", False)):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            stock, ours = course(Path(one), light), course(Path(two), light)
            (stock.root / "nbgrader_config.py").write_text(STOCK)
            subprocess.run(["nbgrader", "generate_assignment", NAME, "--force"], cwd=stock.root, env=ENVIRONMENT, check=True, capture_output=True)
            submit(stock, options.stock), submit(ours, options.ours)
            whole_stock, each_stock = timed(stock, "nbgrader", "autograde", NAME)
            whole_ours, each_ours = timed(ours, "autograder", "grade", NAME)
            own, parts = own_seconds(ours), breakdown(ours)
            print(f"\n{title}")
            print(f"  stock nbgrader autograde   {each_stock * 1e3:7.0f} ms per submission   ({options.stock} in {whole_stock:.1f} s, start-up included)")
            print(f"  autograder grade           {each_ours * 1e3:7.0f} ms per submission   ({options.ours} in {whole_ours:.1f} s, start-up included)")
            print(f"  ratio                      {each_stock / each_ours:7.1f} times")
            print(f"  own cells, warm process    {own * 1e3:7.0f} ms")
            print(f"  overhead per submission    {(each_ours - own) * 1e3:7.0f} ms in the run above; one at a time {(parts[-1][1] - own) * 1e3:.0f} ms")
            for what, seconds in parts:
                print(f"    {what:60s} {seconds * 1e3:6.1f} ms")


if __name__ == "__main__":
    main()
