"""Grades a class: reads submissions, fans out over `Grader.verdict`, and gives every result to the one writer."""
import os
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

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
    jobs, results = jobs or os.cpu_count() or 1, []
    with Grader(layout.root, assignment, layout.paths(name), isolation, limits) as grader, Writer(layout, assignment) as writer:
        started(len(wanted))
        pool = ThreadPoolExecutor(jobs)
        try:
            waiting, running = iter(wanted), {}
            while True:
                while len(running) < 2 * jobs and (student := next(waiting, None)):      # read no further ahead than needed
                    given = submissions.read(layout, name, student)
                    running[pool.submit(grader.verdict, student, given.notebook, given.flags)] = given
                if not running:
                    return results
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    given, result = running.pop(future), future.result()
                    writer.write(result, given.timestamp)
                    results.append(result)
                    graded(result)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
