"""Attacks on what others own: siblings in the same run, the next interpreter, the gradebook, other submissions on disk."""
from .escape import right_if
from .registry import attack
from .submission import right_answers


@attack("right answers are left for a sibling: files, shared memory, abstract sockets, message queues")
def leaves_for_sibling(s):
    answers = "\n".join(right_answers().values())
    s.answer("threshold_prune", f"""
import os, socket, time
answers = {answers!r}
for place in ("/tmp", "/dev/shm", "/var/tmp", "/run/lock", "/dev/mqueue", "."):
    try:
        open(place + "/featherweight-for-sibling", "w").write(answers)
    except OSError:
        pass
if os.fork() == 0:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\\0featherweight")
        server.listen()
        server.settimeout(3)
        try:
            server.accept()[0].sendall(answers.encode())
        except OSError:
            pass
    os._exit(0)
def threshold_prune(w, t):
    return w, w
""")


@attack("right answers that a sibling left are used")
def takes_from_sibling(s):
    s.extra("""
import glob, os, socket, time
left = ""
end = time.time() + 2
while not left and time.time() < end:
    for path in (path for place in ("/tmp", "/dev/shm", "/var/tmp", "/run/lock", "/dev/mqueue") for path in glob.glob(place + "/featherweight-for-sibling")):
        left = open(path).read()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect("\\0featherweight")
            left = client.makefile().read()
        except OSError:
            time.sleep(0.05)
""")
    for name in ("threshold_prune", "magnitude_mask", "masked_train_step"):
        s.extra("exec(left)", after=name)


STARTUP = """
import os, site, sys
line = "import builtins; builtins.featherweight_started = True\\n"
for path in (os.path.join(site.getusersitepackages(), "usercustomize.py"), os.path.join(site.getusersitepackages(), "bad.pth"),
             os.path.join(sys.prefix, "sitecustomize.py"), *[os.path.join(p, "sitecustomize.py") for p in site.getsitepackages()],
             os.path.expanduser("~/.pythonrc"), os.path.expanduser("~/.ipython/profile_default/startup/00.py"),
             os.path.join(os.environ.get("IPYTHONDIR", "/tmp/ipython"), "profile_default/startup/00.py"), "/tmp/numpy.py", "/tmp/msgpack.py",
             "sitecustomize.py", os.path.expanduser("~/.config/matplotlib/matplotlibrc")):
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if not os.path.exists(path):
            open(path, "w").write(line)
    except OSError:
        pass
import builtins
worked = getattr(builtins, "featherweight_started", False)
"""


@attack("start-up files for the next interpreter: sitecustomize, usercustomize, .pth, IPython's startup, modules in /tmp")
def leaves_startup_files(s):
    right_if(s, STARTUP)


@attack("a start-up file that an earlier submission left has run here")
def takes_startup_files(s):
    right_if(s, STARTUP)


@attack("the gradebook gets a trigger that gives full marks to whatever is written later")
def gradebook_trigger(s):
    s.extra("""
import glob, os, sqlite3
here = os.getcwd()
while here != "/":
    for path in glob.glob(here + "/*.db"):
        with sqlite3.connect(path, timeout=2) as database:
            try:
                for event in ("INSERT", "UPDATE"):
                    database.execute(f"CREATE TRIGGER generous_{event} AFTER {event} ON grade BEGIN "
                                     "UPDATE grade SET manual_score = 5 WHERE id = NEW.id AND coalesce(manual_score, 0) != 5; END")
            except sqlite3.Error:
                pass
    here = os.path.dirname(here)
""")


@attack("grades of everyone else in the gradebook are set to 0")
def gradebook_vandal(s):
    s.extra("""
import glob, os, sqlite3
here = os.getcwd()
while here != "/":
    for path in glob.glob(here + "/*.db"):
        with sqlite3.connect(path, timeout=2) as database:
            try:
                database.execute("CREATE TRIGGER envy AFTER UPDATE ON grade BEGIN UPDATE grade SET manual_score = 0 "
                                 "WHERE id = NEW.id AND coalesce(manual_score, 1) != 0; END")
            except sqlite3.Error:
                pass
    here = os.path.dirname(here)
""")


@attack("other submissions and the release on disk are overwritten", on_disk=True)
def overwrites_siblings(s):
    s.extra("""
import glob, os
here = os.getcwd()
while here != "/":
    for pattern in ("/submitted/*/*/*.ipynb", "/source/*/*.ipynb", "/build/source/*/*.ipynb", "/autograded/canary*/*/*.ipynb"):
        for path in glob.glob(here + pattern):
            if "canary" in path or "source" in path:
                try:
                    open(path, "a").write(" ")
                    open("/tmp/featherweight-escaped-overwrites_siblings", "w")
                except OSError:
                    pass
    here = os.path.dirname(here)
""")
