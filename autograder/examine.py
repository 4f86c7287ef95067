"""Runs one test cell in the judge against one checkpoint, and says what it was worth and why.

The visible part comes first; if it fails, the hidden part is run all the same, for its diagnosis. No text of the student's gets into
a message: only the test's own words, the class of an exception, and a line number in the student's cell.
"""
import ast
import functools
import signal
import socket
import traceback
from dataclasses import dataclass

from .assignment import grade_id, split_test
from .checks import BadCase, wall
from .proxy import Conversation, Crashed, Forged, Opaque, TimedOut
from .session import wait


@dataclass(frozen=True)
class Verdict:
    """What one test cell gave."""
    score: float
    status: str
    mistake: str | None = None
    message: str = ""


LOSSES = {"timeout": ("timeout", "it took longer than the time limit"), "signal 24": ("timeout", "it used more processor time than the limit"),
          "signal 9": ("crashed", "its process was killed: it used too much memory"),
          "signal 11": ("crashed", "its process died of a segmentation fault")}


def loss(why: str, when: str) -> Verdict:
    """The verdict on a process that ended before its time; `why` is what the sandbox tells, the message fixed words only."""
    status, message = LOSSES.get(why, ("crashed", "its process ended before it was done"))
    return Verdict(0.0, status, message=f"{when} {message}")


class Checkpoint:
    """The place in the run from which one test cell is served."""

    def __init__(self, control: socket.socket):
        self.control = control

    def open(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        socket.send_fds(self.control, [b"test"], [theirs.fileno()])
        theirs.close()
        return ours

    def close(self, patience: float) -> str:
        """End the test's process, if it has not ended after `patience` seconds.

        Returns, when the checkpoint has cleaned up after it, how it ended, as the checkpoint tells it. A student's process may have
        written to the socket, too.
        """
        try:
            wait([self.control], patience)
            self.control.send(b"stop")
            while wait([self.control], 5) and (word := self.control.recv(64)):
                if word.startswith(b"clean: "):
                    return word[7:].decode("ascii", "replace")
        except OSError:
            pass
        return ""


def run_test(cell, names: list[str], own_names: list[str], checkpoint: Checkpoint, namespace: dict, secret: frozenset, mistakes: list,
             lines: dict[str, int], seconds: float) -> Verdict:
    """Run one test cell. `names`: every answer's names that may be bound; `own_names`: those that this exercise must define;
    `mistakes`: those known of it; `lines`: how many its answer cells have."""
    scope = dict(namespace)
    try:
        conversation = Conversation(checkpoint.open(), [namespace, scope], secret, seconds, lines)
    except OSError:
        return Verdict(0.0, "crashed", message="the answer's process was gone before its test")
    token, patience = wall.set(conversation), 0
    signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds + 1)        # the judge's own work on what the student's code gave counts too
    try:
        bound = conversation.request("names", names)
        if type(bound) is not dict:
            raise Forged("names that are none")
        for name in names:
            scope.pop(name, None)
        scope |= {name: value for name, value in bound.items() if name in names}
        if lacking := [name for name in own_names if name not in scope]:
            return Verdict(0.0, "missing", message=f"the cell does not define {', '.join(lacking)}")
        return _examine(cell, scope, conversation, mistakes, own_names)
    except TimedOut:
        return Verdict(0.0, "timeout", message="a test took longer than the time limit")
    except Forged:
        return Verdict(0.0, "crashed", message="the answer's process sent what no answer sends")
    except Crashed:
        patience = 2                                 # for the checkpoint to see how
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        wall.reset(token)
        conversation.channel.close()
        how = checkpoint.close(patience)
    return loss(how, "during a test,")


def _give_up(*_):
    raise TimedOut


def _examine(cell, scope, conversation, mistakes, own_names) -> Verdict:
    visible, hidden = split_test(cell.source)
    points = float(cell.metadata.nbgrader.points)
    failed, score = None, points
    for part, source in (("visible", visible), ("hidden", hidden)):
        try:
            given = run_cell(source, scope)
        except BadCase as error:
            return _wrong_test(str(error))
        except Exception as error:
            failed = failed or _failure(error, source, part, conversation)
        else:
            if given is not None and (type(given) not in (float, int) or not 0 <= given <= points):
                return _wrong_test(f"{grade_id(cell)}: the last line must give a number from 0 to {points}")
            score = score if given is None else float(given)
    failures = [group for exam in conversation.exams for group in exam.failures()]
    if failed is None and score == points:
        return Verdict(points, "passed")
    score = 0.0 if failed else score
    status, message = failed or ("failed", "")
    if failures and (not failed or not message):
        group = failures[0]
        status = "error" if score == 0 and group.failure[-1].startswith("raised ") else status
        message = group.message
    known = next((m for m in mistakes if conversation.exams and all(e.matches(m.definitions(own_names)) for e in conversation.exams)), None)
    if known:
        return Verdict(score, status, known.name, known.diagnosis)
    return Verdict(score, status, failures[0].mistake if failures else None, message)


def _wrong_test(why: str) -> Verdict:
    return Verdict(0.0, "error", message=f"the test itself is wrong, tell your instructor: {why}")


def run_cell(source: str, scope: dict):
    """Run a test's source; the value of its last line, if that is an expression."""
    body, last = compiled(source)
    exec(body, scope)
    return eval(last, scope) if last else None


@functools.cache
def compiled(source: str) -> tuple:
    """A test's code, and that of its last line if it is an expression. The judge's zygote compiles every test once."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    return compile(tree, "<test>", "exec"), last and compile(ast.Expression(last.value), "<test>", "eval")


def _failure(error, source, part, conversation) -> tuple[str, str]:
    """Status and message for an exception in a test."""
    if part == "hidden":
        return ("error" if error is conversation.raised else "failed"), f"a hidden test failed ({type(error).__name__})"
    line = next((line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == "<test>"), 0)
    statement = next((ast.get_source_segment(source, node) for node in ast.parse(source).body
                      if node.lineno <= line <= node.end_lineno), "")
    shown = f"the visible test `{' '.join(statement.split())[:200]}`" if statement else "a visible test"
    if error is conversation.raised:
        where = f" (line {conversation.raised_line} of the cell)" if conversation.raised_line else ""
        return "error", f"the answer raised {type(error).__name__}{where} in {shown}"
    if isinstance(error, Opaque):
        return "failed", f"the answer gave an object where plain data is expected, in {shown}"
    return "failed", f"{shown} failed" + ("" if isinstance(error, AssertionError) else f" ({type(error).__name__})")

