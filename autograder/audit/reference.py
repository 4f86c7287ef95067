"""The reference under measurement: behind the wall three times, its time and memory; under stock nbgrader three times."""
import json
import subprocess
import sys
import threading
from pathlib import Path

from ..assignment import Assignment
from ..grader import Grader
from ..processes import descendants, memory
from .trials import Trials, results

TIMES = 3


class Peak(threading.Thread):
    """Samples the memory of the processes that a grader's sandbox starts while this runs; `bytes` is the most they held together."""

    def __init__(self, grader: Grader):
        super().__init__(daemon=True)
        self.base, self.over, self.bytes = grader.sandbox.process.pid, threading.Event(), 0
        self.before = set(descendants(self.base))

    def run(self):
        while not self.over.wait(0.01):
            self.bytes = max(self.bytes, sum(memory(pid).get("Pss", 0) for pid in descendants(self.base) if pid not in self.before))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def measure(grader: Grader, trials: Trials) -> tuple[float, float, dict[str, float], list[str]]:
    """Seconds of compute (the least of three runs), peak megabytes, what each exercise's tests take, and problems."""
    runs, problems = [], []
    with Peak(grader) as peak:
        for _ in range(TIMES):
            told = grader.ask(trials.notebook(trials.right))
            runs.append(told or {"cell_seconds": {}, "test_seconds": {}, "scores": {}})
            for exercise in trials.exercises:
                result = results(told).get(exercise.name)
                if not result or result["score"] != exercise.points:
                    problems.append(f"{exercise.name}: the reference earned {result['score'] if result else 0:g} of {exercise.points:g} in one of "
                                    f"{TIMES} runs; seed what is random, or widen the tolerance with a reason")
    seconds = min(sum(r["cell_seconds"].values()) + sum(r["test_seconds"].values()) for r in runs)
    each = {e.name: max((r["test_seconds"].get(t, 0.0) for r in runs for t in e.tests), default=0.0) for e in trials.exercises}
    return seconds, peak.bytes / 2**20, each, list(dict.fromkeys(problems))


class Stock:
    """Stock nbgrader on the source notebook, in a process of its own beside the audit."""

    def __init__(self, notebook: Path, root: Path):
        command = [sys.executable, "-m", "autograder.audit.stock", str(notebook), str(root), str(TIMES)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def problems(self, assignment: Assignment) -> list[str]:
        """Waits for it, and compares."""
        told, words = self.process.communicate()
        if self.process.returncode:
            return [f"stock nbgrader could not run the source notebook: {(words.strip() or 'no message').splitlines()[-1]}"]
        points = {t: e.points for e in assignment.exercises for t in e.tests}
        wanted = {c.metadata.nbgrader.grade_id: float(c.metadata.nbgrader.points) for c in assignment.source.cells
                  if c.metadata.get("nbgrader", {}).get("grade_id") in points and c.cell_type == "code"}
        return [f"{test}: under stock nbgrader the reference earned {run.get(test) or 0:g} of {most:g}; a test cell must print nothing on stderr "
                "and work in a plain kernel" for test, most in wanted.items() for run in json.loads(told) if run.get(test) != most][:len(wanted)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            pipe.close()
