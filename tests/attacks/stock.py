"""The same suite against stock nbgrader: `python -m tests.attacks.stock [--only ID ...] [--markdown FILE]`.

Every attack gets a course of its own, with the real hidden tests and one honest canary graded after it, in a bubblewrap sandbox with limits
on time, memory and processes. Nothing of ours takes part but the notebook itself: `nbgrader autograde` with its default configuration.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from autograder.build import build
from autograder.layout import Layout

from .registry import Entry, entries
from .submission import ASSIGNMENT, POINTS, ROOT, Submission, right_answers

SECONDS = 45
TOOLS = Path(sys.executable).parent
CANARY = "zz-canary"
SCRIPT = f"""
cd /srv/course
grade() {{ timeout -k 5 {SECONDS} nbgrader autograde {ASSIGNMENT} --student "$1" > "/srv/course/$1.log" 2>&1; echo $? > "/srv/course/$1.exit"; }}
grade attacker
grade {CANARY}
python - <<'END' > /srv/course/scores.json
import json
from nbgrader.api import Gradebook
found = {{}}
with Gradebook("sqlite:////srv/course/gradebook.db") as gradebook:
    for submission in gradebook.assignment_submissions("{ASSIGNMENT}"):
        grades = [g for n in submission.notebooks for g in n.grades]
        found[submission.student_id] = [submission.score, submission.needs_manual_grade, {{g.name: g.score for g in grades}}]
print(json.dumps(found))
END
"""


def template(place: Path):
    """A stock course with this assignment generated from the built source."""
    (place / "source").mkdir(parents=True)
    build(Layout(ROOT), ASSIGNMENT)
    shutil.copytree(ROOT / "build/source" / ASSIGNMENT, place / "source" / ASSIGNMENT, ignore=shutil.ignore_patterns("*.sha256"))
    (place / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'stock'\n")
    environment = os.environ | {"PATH": f"{TOOLS}:{os.environ['PATH']}"}
    subprocess.run([TOOLS / "nbgrader", "generate_assignment", ASSIGNMENT], cwd=place, check=True, capture_output=True, env=environment)


def sandbox(course: Path) -> list[str]:
    """The command prefix: everything read-only but the course; no network; limits. What stock nbgrader sees of the disk is the course."""
    hidden = [argument for part in ("solutions", "build", "tests", "assignments", ".git", "demo") for argument in ("--tmpfs", str(ROOT / part))
              if (ROOT / part).exists()]
    return ["prlimit", "--nproc=4096", f"--data={3 << 30}", f"--fsize={512 << 20}", "--core=0", "--nofile=4096", "bwrap", "--ro-bind", "/", "/",
            *hidden, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/dev/shm", "--tmpfs", "/srv",
            "--bind", str(course), "/srv/course", "--unshare-all", "--die-with-parent", "--new-session", "--setenv", "PATH", f"{TOOLS}:/usr/bin:/bin",
            "--setenv", "HOME", "/tmp", "--setenv", "OMP_NUM_THREADS", "1"]


def grade(entry: Entry, pattern: Path) -> dict:
    """One attack against stock: its score, the canary's, and how it went."""
    with tempfile.TemporaryDirectory(prefix="stock-") as scratch:
        course = Path(scratch) / "course"
        shutil.copytree(pattern, course)
        entry.submission().write(course / "submitted/attacker" / ASSIGNMENT)
        Submission(right_answers()).write(course / "submitted" / CANARY / ASSIGNMENT)
        start = time.monotonic()
        process = subprocess.Popen([*sandbox(course), "bash", "-c", SCRIPT], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        hung = _supervise(process, time.monotonic() + 2 * SECONDS + 30)
        return _outcome(entry, course, hung, time.monotonic() - start)


def _supervise(process, deadline) -> bool:
    """Wait; stop it at the deadline, or when its processes hold more than 8 GB. True if it had to be stopped."""
    from autograder.processes import heaviest_over
    while process.poll() is None:
        if time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        if victim := heaviest_over(process.pid, 8 << 30):
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.2)
    return False


def _outcome(entry, course, hung, seconds) -> dict:
    def read(name):
        path = course / name
        return path.read_text(errors="replace") if path.is_file() else ""

    try:
        scores = json.loads(read("scores.json"))
    except ValueError:
        scores = {}
    score, manual, _ = scores.get("attacker", (None, False, {}))
    canary = scores.get(CANARY, (None,))[0]
    log, exit_code = read("attacker.log"), read("attacker.exit").strip()
    notes = []
    if hung or exit_code in ("124", "137"):
        notes.append("hung")
    elif score is None or not list(course.glob(f"autograded/attacker/{ASSIGNMENT}/*.ipynb")):
        notes.append("aborted, ungraded")
    elif exit_code not in ("0", ""):
        notes.append("aborted")
    if manual:
        notes.append("left for manual grading")
    if "Kernel died" in log or "DeadKernel" in log:
        notes.append("kernel died")
    if score is not None and score > sum(entry.earns.values()) and not entry.honest:
        notes.append("EARNS what it should not")
    if score is not None and score < sum(entry.earns.values()):
        notes.append(f"loses {sum(entry.earns.values()) - score:g} points it should have")
    if canary != sum(POINTS.values()):
        notes.append(f"HARMS: an honest student gets {canary}")
    if any((course / "autograded/attacker" / ASSIGNMENT / name).exists() for name in ("gradebook.db", "shadow", "solutions")):
        notes.append("a link's target was copied to the student")
    return {"id": entry.id, "family": entry.family, "tries": entry.tries, "score": score, "fair": sum(entry.earns.values()), "canary": canary,
            "seconds": round(seconds), "note": "; ".join(notes)}


def table(rows: list[dict]) -> str:
    """The outcomes as a markdown table."""
    lines = ["| attack | what it tries | behind the wall | stock | note |", "|---|---|---:|---:|---|"]
    for row in sorted(rows, key=lambda r: (r["family"], r["id"])):
        tries = row["tries"].replace("|", "\\|")
        score = "none" if row["score"] is None else f"{row['score']:g}"
        lines.append(f"| {row['family']}/{row['id']} | {tries} | {row['fair']:g} | {score} | {row['note']} |")
    earning = [r for r in rows if r["score"] is not None and r["score"] > r["fair"]]
    harming = [r for r in rows if r["canary"] != sum(POINTS.values())]
    return "\n".join([*lines, "", f"{len(rows)} submissions on stock nbgrader: {len(earning)} earn what they should not, "
                                  f"{len([r for r in earning if r['score'] >= 12])} of them full marks; {len(harming)} harm an honest student."])


def main() -> int:
    """Run the suite, or the entries named, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="ID", help="these entries or families")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    chosen = [e for e in entries().values() if not options.only or e.id in options.only or e.family in options.only]
    rows = []
    with tempfile.TemporaryDirectory(prefix="stock-course-") as scratch:
        pattern = Path(scratch) / "course"
        template(pattern)
        with ThreadPoolExecutor(options.jobs) as pool:
            for row in pool.map(lambda entry: grade(entry, pattern), chosen):
                rows.append(row)
                print(f"{len(rows):3}/{len(chosen)} {row['id']}: {row['score']} / 12 in {row['seconds']} s  {row['note']}", flush=True)
                if options.markdown:
                    options.markdown.write_text(table(rows) + "\n")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
