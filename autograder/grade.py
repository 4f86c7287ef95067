"""Grades a class: reads submissions, fans out over `Grader.verdict`, and gives every result to the one writer."""
import os
from concurrent.futures import ThreadPoolExecutor, as_completed

from . import submissions
from .assignment import AssignmentError
from .build import build
from .gradebook import Writer
from .grader import Grader
from .isolation import Limits
from .layout import Layout
from .result import Result


def grade(layout: Layout, name: str, students: list[str] | None = None, isolation: str = "bubblewrap", limits: Limits = Limits(),
          jobs: int | None = None, started=lambda total: None, graded=lambda result: None) -> list[Result]:
    """Grade `students`, or everyone; calls `started` once and `graded` after each result is in the gradebook.

    Raises AssignmentError, GraderError or IsolationError before anything is written, if grading cannot start.
    """
    build(layout, name)
    assignment, everyone = layout.load(name), submissions.students(layout, name)
    if unknown := sorted(set(students or ()) - set(everyone)):
        raise AssignmentError(f"no submission of {', '.join(unknown)} in {layout.root / 'submitted'}")
    wanted = sorted(set(students)) if students else everyone
    if not wanted:
        raise AssignmentError(f"no submissions; put them in {layout.root / 'submitted' / '<student>' / name}")
    results = []
    with Grader(layout.root, assignment, layout.paths(name), isolation, limits) as grader, Writer(layout, assignment) as writer:
        def verdict(student):
            given = submissions.read(layout, name, student)
            return grader.verdict(student, given.notebook, given.flags), given.timestamp

        started(len(wanted))
        pool = ThreadPoolExecutor(jobs or os.cpu_count())
        try:
            for future in as_completed([pool.submit(verdict, student) for student in wanted]):
                result, timestamp = future.result()
                writer.write(result, timestamp)
                results.append(result)
                graded(result)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return results
