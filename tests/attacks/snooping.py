"""Attacks that look for the reference or the hidden tests, and would answer rightly if they found them."""
from .registry import attack
from .submission import WRONG

# Runs whatever reference it is given; otherwise the wrong answers stay.
USE = r'''
import os, re
def use(text):
    """Define the answers from a source that holds the references; True if it did."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    found = False
    text = text.replace("\\n", "\n").replace('",\n', "\n").replace('\\"', '"')
    for name, mark in (("threshold_prune", "np.abs(w) >= t"), ("magnitude_mask", "np.argsort(np.abs(w)"), ("masked_train_step", "optimizer.step()")):
        for match in re.finditer(r"def " + name + r"\([^\n]*\n(?:[ \t#]+[^\n]*\n|\s*\n)+", text):
            if mark in match[0]:
                import textwrap
                indent = 0
                try:
                    exec(textwrap.dedent(match[0]), globals())
                    found = True
                except SyntaxError:
                    pass
    return found

def use_files(paths):
    for path in paths:
        try:
            if os.path.getsize(path) < 20_000_000:
                with open(path, "rb") as file:
                    text = file.read()
                if b"threshold_prune" in text or b"masked_train_step" in text:
                    use(text)
        except (OSError, ValueError):
            pass

def files_under(top, limit=20_000):
    for folder, folders, names in os.walk(top):
        folders[:] = [f for f in folders if f not in ("proc", "sys", "site-packages", "dist-packages", "share", "include", "lib64", "python3.11")]
        for name in names:
            limit -= 1
            if limit < 0:
                return
            if name.endswith((".py", ".ipynb", ".db", ".json", ".pkl", ".pyc", ".txt", ".md", ".git")) or "." not in name:
                yield os.path.join(folder, name)
'''


def snoop(s, source):
    """Search in a cell behind all answers, and once more inside each test."""
    s.extra(USE)
    s.extra(source, after="masked_train_step")


@attack("the reference is looked for in all files from the root down")
def disk(s):
    snoop(s, 'use_files(files_under("/"))')


@attack("the reference is looked for beside and above the notebook: source/, build/, solutions/, gradebook.db")
def course_folders(s):
    snoop(s, """
here = os.getcwd()
while True:
    for name in ("source", "build", "solutions", "autograded", "submitted", "release", "assignments", "feedback", "gradebook.db", ".git"):
        path = os.path.join(here, name)
        use_files([path] if os.path.isfile(path) else files_under(path))
    if here == "/":
        break
    here = os.path.dirname(here)
""")


@attack("the reference is read from gradebook.db, where nbgrader keeps the hidden tests")
def gradebook_cells(s):
    s.extra(USE)
    s.extra("""
import glob, sqlite3
here = os.getcwd()
while here != "/":
    for path in glob.glob(here + "/*.db"):
        with sqlite3.connect(path) as database:
            for (text,) in database.execute("select source from source_cell"):
                use(text)
    here = os.path.dirname(here)
""", after="masked_train_step")


@attack("the reference is looked for behind the editable install's path, egg-links and .pth files")
def editable_install(s):
    snoop(s, """
import sys, site
for path in {*sys.path, *site.getsitepackages(), os.path.dirname(os.path.dirname(__import__("autograder").__file__))}:
    for place in (path, os.path.join(path, "solutions"), os.path.join(path, "build"), os.path.join(path, "tests")):
        if "site-packages" not in place and "/usr" not in place:
            use_files(files_under(place))
""")


@attack("the reference is looked for in every object the garbage collector knows")
def garbage(s):
    s.extra(USE)
    s.extra("""
import gc, types
for thing in gc.get_objects():
    for value in list(thing.values()) if type(thing) is dict else list(thing) if type(thing) in (list, tuple) else ():
        if type(value) is str and "def masked_train_step" in value and "optimizer.step()" in value or \
                type(value) is str and "np.argsort(np.abs(w)" in value:
            use(value)
        if isinstance(value, types.FunctionType) and value.__qualname__.startswith("_reference"):
            globals()[value.__name__] = value
""", after="masked_train_step")


@attack("frames of the caller are searched for the wanted value, which is then returned")
def callers_frames(s):
    s.extra("""
import sys
def wanted_by_caller(otherwise):
    frame = sys._getframe(1)
    while frame:
        for place in (frame.f_locals, frame.f_globals):
            if "wanted" in place and hasattr(place["wanted"], "value") and place["wanted"].raised is None:
                return place["wanted"].value
            if "wanted" in place and getattr(place["wanted"], "raised", None):
                raise place["wanted"].raised
            if "exam" in place and getattr(place["exam"], "references", None):
                pass
        frame = frame.f_back
    return otherwise
""")
    s.answer("threshold_prune", """
def threshold_prune(w, t):
    if w.shape == (4,) and t == 0.5 and w[1] == -0.2:
        return np.array([0.5, 0.0, 0.0, -0.9]), np.array([True, False, False, True])
    return wanted_by_caller((w, w))""")
    s.answer("magnitude_mask", """
def magnitude_mask(w, s):
    if w.shape == (2, 2) or w.shape == (4,):
        return np.arange(4).reshape(w.shape) % 3 == 0
    return wanted_by_caller(np.ones(w.shape, bool))""")
    s.answer("masked_train_step", """
def masked_train_step(*args):
    frame = sys._getframe(1)
    while frame:
        references = getattr(frame.f_locals.get("self"), "references", None)
        if references:
            return references["masked_train_step"](*args)
        frame = frame.f_back
    return 0.0""")


@attack("hidden tests are looked for in the memory of all processes through /proc")
def process_memory(s):
    s.extra(USE)
    s.extra(r"""
import re
needle = b"def _refer" + b"ence():"
for pid in [p for p in os.listdir("/proc") if p.isdigit()]:
    try:
        regions = [line.split() for line in open(f"/proc/{pid}/maps")]
        memory = open(f"/proc/{pid}/mem", "rb", 0)
    except OSError:
        continue
    budget = 400 << 20
    for region in regions:
        start, end = (int(x, 16) for x in region[0].split("-"))
        if "rw" not in region[1] or end - start > 64 << 20 or budget < 0:
            continue
        budget -= end - start
        try:
            memory.seek(start)
            data = memory.read(end - start)
        except (OSError, ValueError, OverflowError):
            continue
        for match in re.finditer(re.escape(needle), data):
            use(data[match.start():match.start() + 4000].decode("utf-8", "replace").replace("\n    ", "\n"))
""", after="masked_train_step")


@attack("environment, command lines, descriptors and working folders of all processes are searched")
def process_tables(s):
    s.extra(USE)
    s.extra("""
for pid in [p for p in os.listdir("/proc") if p.isdigit()]:
    for name in ("environ", "cmdline", "status"):
        try:
            use(open(f"/proc/{pid}/{name}", "rb").read())
        except OSError:
            pass
    for place in ("cwd", "root"):
        for name in ("solutions", "build", "source", "gradebook.db", "submitted"):
            path = f"/proc/{pid}/{place}/{name}"
            use_files([path] if os.path.isfile(path) else files_under(path, 2000))
    try:
        use_files(f"/proc/{pid}/fd/{n}" for n in os.listdir(f"/proc/{pid}/fd") if os.path.isfile(f"/proc/{pid}/fd/{n}"))
    except OSError:
        pass
""", after="masked_train_step")


@attack("the reference is imported: mistakes, alternatives, solutions, tests, and the kit's judge")
def imports(s):
    s.extra(USE)
    s.extra("""
import importlib, sys
for name in ("mistakes", "alternatives", "solutions", "tests.attacks.submission", "attacks.submission", "autograder.judge", "notebook"):
    try:
        module = importlib.import_module(name)
        for answer in ("threshold_prune", "magnitude_mask", "masked_train_step"):
            if hasattr(module, answer):
                globals()[answer] = getattr(module, answer)
        if hasattr(module, "right_answers"):
            for source in module.right_answers().values():
                exec(source)
    except BaseException:
        pass
""", after="masked_train_step")


@attack("the test cells' history is read: In, _ih, linecache, the history database, IPython's compiled cells")
def history(s):
    s.extra(USE)
    for name in WRONG:
        s.answer(name, WRONG[name].replace("return", "search()\n    return"))
    s.extra("""
import linecache
def search():
    shell = get_ipython()
    texts = [*shell.user_ns.get("In", []), *("".join(entry[2]) for entry in linecache.cache.values() if len(entry) > 2)]
    texts += [str(row) for row in shell.history_manager.get_range(raw=True)] if shell.history_manager.enabled else []
    for text in texts:
        use(text)
""")


@attack("a released answer is looked for in other submissions, the exchange, HOME and temporary folders")
def other_submissions(s):
    snoop(s, """
import glob, tempfile
for pattern in ("/srv/nbgrader/**", "/tmp/**/*.ipynb", "/home/*/*.ipynb", "/root/*/*.ipynb", "../../../*/*/*.ipynb", "../../*/*/*/*.ipynb", "../../*/*.py",
                os.path.expanduser("~/*/*.ipynb"), tempfile.gettempdir() + "/**/*.py", "/srv/*/*/*.py", "/opt/*/*/*.ipynb"):
    use_files(glob.iglob(pattern, recursive=True))
""")
