"""Attacks by what lies in a submission's folder: links, FIFOs, folders, unexpected and hard names."""
from .registry import attack
from .submission import ASSIGNMENT


@attack("the notebook is a link to the solution", on_disk=True)
def link_to_solution(s):
    s.links[s.file] = f"../../../build/source/{ASSIGNMENT}/{ASSIGNMENT}.ipynb"


@attack("the notebook is a link to another student's submission", on_disk=True)
def link_to_canary(s):
    s.links[s.file] = f"../../canary-a/{ASSIGNMENT}/{ASSIGNMENT}.ipynb"


@attack("the notebook is a link to /etc/passwd", on_disk=True)
def link_to_passwd(s):
    s.links[s.file] = "/etc/passwd"


@attack("a link to gradebook.db beside the notebook, which stock nbgrader copies into the student's feedback", on_disk=True)
def link_to_gradebook(s):
    s.links["gradebook.db"] = "../../../gradebook.db"
    s.links["solutions"] = "../../../solutions"
    s.links["shadow"] = "/etc/shadow"


@attack("the notebook is a link to itself", on_disk=True)
def link_to_itself(s):
    s.links[s.file] = s.file


@attack("the notebook is an endless device", on_disk=True)
def link_to_device(s):
    s.links[s.file] = "/dev/zero"


@attack("the notebook is a FIFO that no one writes into", on_disk=True)
def fifo(s):
    s.fifos.append(s.file)


@attack("the notebook is a folder", on_disk=True)
def folder(s):
    s.folders.append(s.file)


@attack("a FIFO beside the notebook", on_disk=True)
def fifo_beside(s):
    s.fifos.append("data.csv")


@attack("timestamp.txt is a link to the gradebook, or no date", on_disk=True)
def linked_timestamp(s):
    s.links["timestamp.txt"] = "../../../gradebook.db"


@attack("a timestamp in the year 99999, with escape sequences", on_disk=True)
def evil_timestamp(s):
    s.files["timestamp.txt"] = b"99999-01-01 00:00:00 \x1b[2J<script>alert(1)</script>\n" * 50


@attack("names with line breaks, quotes, escapes, directions and leading dashes; very long and not UTF-8", on_disk=True)
def hard_names(s):
    for name in ("-rf", "a\nb", "\x1b[2J", "$(touch x)", "`id`", "'; --", "\u202efdp.exe", "x" * 250, "<img src=x onerror=alert(1)>", "%s%n", "{0}", "~"):
        s.files[name] = b"x"


@attack("several notebooks: the expected one wrong, another right, a third with the same name in capitals", on_disk=True)
def several_notebooks(s):
    right = s.copy()
    right.right()
    s.files["better.ipynb"] = right.bytes()
    s.files[ASSIGNMENT.upper() + ".IPYNB"] = right.bytes()
    s.files[f".ipynb_checkpoints/{ASSIGNMENT}-checkpoint.ipynb"] = right.bytes()


@attack("files that a grading tool may read as its own: results.json, .OTTER_LOG, nbgrader_config.py, scores", on_disk=True)
def forged_results(s):
    s.files |= {"results.json": b'{"score": 12}', "nbgrader_config.py": b"open('/tmp/featherweight-escaped-forged_results', 'w')",
                "gradebook.db": b"", ".OTTER_LOG": b"\x80\x04.", "feedback.html": b"<script>alert(1)</script>"}
