"""Concept cells made from the question bank: graded checks, and free text with its rubric for the marker.

`# %% check="name" points=1` becomes a statement, an answer cell and a test cell; `# %% [markdown] interview="id" points=5` becomes a
statement and a manual cell whose solution holds what the marker needs. `build` turns the terse cells into nbgrader's.
"""
import re
from dataclasses import dataclass

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

from . import mistakes
from .assignment import BEGIN_HIDDEN, BEGIN_SOLUTION, END_HIDDEN, END_SOLUTION, AssignmentError, grade_id, role
from .bank import ANSWER_WORDS, Check, Question, files_naming, load
from .layout import Layout
from .mistakes import KnownAnswer


def files_used(layout: Layout, notebook: str) -> list:
    """The files of the bank that this notebook source names, in percent format or JSON."""
    return files_naming(layout.questions, set(re.findall(r"\b(?:check|interview)\W+(\w+)", notebook)))


def expand(cells: list, layout: Layout) -> list:
    """The cells with every concept cell replaced by the cells it stands for; raises AssignmentError where the bank lacks it."""
    bank = load(files_naming(layout.questions, {str(c.metadata[kind]) for c in cells for kind in ("check", "interview") if kind in c.metadata}))
    checks = {check.name: check for question in bank.values() for check in question.checks}
    made = []
    for cell in cells:
        kind = next((k for k in ("check", "interview") if k in cell.metadata), None)
        if kind is None:
            made.append(cell)
            continue
        name, points = str(cell.metadata[kind]), cell.metadata.get("points", 1)
        known = checks if kind == "check" else bank
        if name not in known:
            raise AssignmentError(f"no {'check' if kind == 'check' else 'question'} {name!r} in {layout.questions}; mend the name, or write it there")
        if cell.source.strip():
            raise AssignmentError(f"the cell {kind}={name!r} has text of its own; leave it empty, its text comes from the bank")
        if type(points) not in (int, float) or points <= 0:
            raise AssignmentError(f"the cell {kind}={name!r} is worth {points!r} points; give a number above 0")
        made += _check(known[name], points) if kind == "check" else _interview(known[name], points)
    return made


def _check(check: Check, points) -> list:
    """Statement, answer cell, test cell."""
    name = check.name
    worth = f"**Concept check** `{name}` ({_points(points)})\n\n{check.ask}\n\n"
    if check.options:
        first, last = check.options[0].letter, check.options[-1].letter
        listed = "\n".join(f"- **{o.letter}** · {o.text}" for o in check.options)
        statement = (f"{worth}{listed}\n\nAnswer with the letters of *all* that are true, in any order, in this form: `{name} = {{\"x\", \"y\"}}`. "
                     "A set, a list, a tuple or a text of letters will do, upper or lower case. Only exactly the right letters earn the points.")
        stub = f'{name} = set()  # the letters of all true statements'
        visible = f'assert set() < set("".join({name}).lower()) <= set("{"".join(o.letter for o in check.options)}"), "give letters from {first} to {last}"'
        exam = "exam.choice({\n" + "".join(f"    {o.letter!r}: {(o.mistake, o.why)!r},\n" for o in check.options) + "})"
    else:
        allowed = f"It may differ from the exact value by at most {100 * check.rtol:g} % of it." if check.rtol else "It must be exact."
        statement = f"{worth}Answer with a number, in this form: `{name} = 0.25`. {allowed}"
        stub = f"{name} = None  # a number"
        visible = f'assert abs({name}) < float("inf"), "give a finite number"'
        wrong = "".join(f"    {(w.value, w.mistake, w.why)!r},\n" for w in check.wrong)
        exam = f"exam.number({check.rtol}, [\n{wrong}], why={check.why!r})"
    answer = f"{BEGIN_SOLUTION}\n{name} = {_literal(check.answer)}\n{END_SOLUTION}"
    return [new_markdown_cell(statement),
            new_code_cell(answer, metadata={"answer": name, "stub": stub, "question": check.question}),
            new_code_cell(f"{visible}\n{BEGIN_HIDDEN}\n{exam}\nexam.score()\n{END_HIDDEN}", metadata={"test": name, "points": points})]


def _interview(question: Question, points) -> list:
    """Statement and manual cell."""
    statement = (f"**Interview question {question.id}** ({_points(points)})\n\n{question.question['en']}\n\n{question.question['zh']}\n\n"
                 f"Answer in the cell below, in English or Chinese, in at most {ANSWER_WORDS} words. Your instructor marks it by a rubric: what counts "
                 "is that it is right, complete and concrete, not how long it is.")
    total = sum(item["points"] for item in question.rubric)
    scale = "" if total == points else f"; the question gives {_points(points)}, so multiply by {points / total:g}"
    parts = [f"**Rubric** ({_points(total)}{scale})", "\n".join(f"- **{item['points']}** · {item['text'].strip()}" for item in question.rubric),
             "**Model answer**", question.answer.strip(),
             "**Often said, and wrong**", "\n".join(f"- *{m['claim'].strip()}* {m['why'].strip()}" for m in question.misconceptions),
             "**Sources**", "\n".join(f"- {source.strip()}" for source in question.sources)]
    told = "\n\n".join(parts)
    return [new_markdown_cell(statement),
            new_markdown_cell(f"{BEGIN_SOLUTION}\n{told}\n{END_SOLUTION}",
                              metadata={"manual": f"interview_{question.id}", "points": points, "question": question.id})]


def _points(points) -> str:
    return f"{points:g} point{'' if points == 1 else 's'}"


def _literal(answer) -> str:
    return "{" + ", ".join(f'"{letter}"' for letter in sorted(answer)) + "}" if isinstance(answer, (set, frozenset)) else repr(answer)


@dataclass(frozen=True)
class DataAnswer(KnownAnswer):
    """A known answer to a check: plain data, so its source is the whole cell."""

    def cell(self, names: list[str]) -> str:
        return self.source


def known_answers(layout: Layout, name: str) -> list[KnownAnswer]:
    """All known answers of a built assignment: those of its mistakes.py and alternatives.py, and those to its checks."""
    return mistakes.load(layout.mistakes(name)) + mistakes.load(layout.solution(name) / "alternatives.py") + check_answers(layout, name)


def check_answers(layout: Layout, name: str) -> list[KnownAnswer]:
    """For every check of a built assignment: its wrong answers with their diagnoses, and other forms of the right one."""
    notebook = nbformat.read(layout.source(name), 4)
    wanted = {grade_id(c): c.metadata.question for c in notebook.cells if role(c) == "answer" and "question" in c.metadata}
    bank = load(files_naming(layout.questions, set(wanted.values())))
    return [DataAnswer(check.name, mistake, why, value, f"{check.name} = {_literal(value)}")
            for check in (c for question in bank.values() for c in question.checks if c.name in wanted)
            for mistake, why, value in (_choices(check) if check.options else _numbers(check))]


def _choices(check):
    """One option too many, one too few (an empty set is no answer); the right set written otherwise."""
    for option in check.options:
        value = set(check.answer) ^ {option.letter}
        if value:
            yield option.mistake, option.why, value
    yield "as_a_list", None, sorted(check.answer, reverse=True)
    yield "as_capitals", None, "".join(sorted(check.answer)).upper()


def _numbers(check):
    for wrong in check.wrong:
        yield wrong.mistake, wrong.why, wrong.value
    yield "within_the_tolerance", None, check.answer * (1 + check.rtol / 2)
    yield "as_a_float", None, float(check.answer)
