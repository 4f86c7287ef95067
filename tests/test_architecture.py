"""The shape of the repository: what may import what, how large it is, and that its lists of dependencies agree."""
import ast
import re
import tomllib

import pytest
import yaml

from .conftest import ROOT

PACKAGE = sorted((ROOT / "autograder").rglob("*.py"))
CONDA_NAMES = {"torch": "pytorch", "msgpack": "msgpack-python", "playwright": "playwright-python"}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_the_kit_knows_nothing_of_the_course_and_nobody_imports_tests():
    for path in [*PACKAGE, *(ROOT / "course").rglob("*.py"), *(ROOT / "solutions").rglob("*.py")]:
        roots = {name.split(".")[0] for name in imports(path)}
        assert "tests" not in roots, path
        assert path not in PACKAGE or "course" not in roots, path


def test_no_file_of_the_kit_is_long():
    assert {str(p): n for p in PACKAGE if (n := len(p.read_text().split("\n"))) > 300} == {}


def test_every_module_says_what_it_is_for():
    assert [str(p) for p in PACKAGE if not ast.get_docstring(ast.parse(p.read_text()))] == []


@pytest.fixture(scope="module")
def needed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = project["dependencies"] + project["optional-dependencies"]["test"]
    return {re.split(r"[=<>]", item)[0] for item in listed}


def test_constraints_pin_everything_needed_once(needed):
    pins = re.findall(r"(?m)^([\w.-]+)==", (ROOT / "constraints.txt").read_text())
    names = [re.sub(r"[-_.]+", "-", name).lower() for name in pins]
    assert len(names) == len(set(names)) and needed <= set(names)


def test_environment_yml_agrees_with_the_pins(needed):
    pins = {re.sub(r"[-_.]+", "-", n).lower(): v for n, v in re.findall(r"(?m)^([\w.-]+)==(.+)$", (ROOT / "constraints.txt").read_text())}
    listed = [d.split("=") for d in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"] if isinstance(d, str)]
    conda = {name: version[0] if version else None for name, *version in listed}
    assert conda.pop("python") == "3.11" and {"bubblewrap", "pip"} <= set(conda)
    assert {n: v for n, v in conda.items() if n not in ("bubblewrap", "pip")} == {CONDA_NAMES.get(n, n): pins[n] for n in needed}
