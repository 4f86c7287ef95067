"""Answers that carry the hidden inputs they are called with to a place a student could read later.

Each smuggles `LEAK` beside what it saw; neither may appear in a message, an output or the autograded notebook.
"""
from .registry import attack
from .submission import LOOKUP
from .wire import WIRE

KEEP = """
import os, sys
def seen(w):
    return "LEAK " + " ".join(repr(float(x)) for x in np.asarray(w, dtype=float).ravel()[:4])
"""


def carry(s, statement, preparation=""):
    """Run `statement` (which may use `text` and `w`) whenever a hidden test calls one of the first two answers."""
    s.extra(KEEP + preparation)
    body = "\n".join("    " + line for line in statement.split("\n"))
    for name, marker in (("threshold_prune", "    return w, np.ones"), ("magnitude_mask", "    return np.full")):
        before, wrong = LOOKUP[name].rsplit(marker, 1)
        s.answer(name, f"{before}    text = seen(w)\n{body}\n{marker}{wrong}")


@attack("hidden inputs are printed, written to stderr, logged, warned of and displayed")
def printed(s):
    carry(s, """\
print(text)
print(text, file=sys.stderr)
sys.__stdout__.write(text)
os.write(1, text.encode())
os.write(2, text.encode())
warnings.warn(text)
logging.error(text)
display(text)
get_ipython().outputs.append({"output_type": "stream", "name": "stdout", "text": text})""", "import logging, warnings\nfrom IPython.display import display")


@attack("hidden inputs are the text of an exception")
def exception_text(s):
    carry(s, "raise RuntimeError(text)")


@attack("hidden inputs are the name of an exception's class, and of its bases")
def exception_name(s):
    carry(s, "raise type(text, (type(text + '2', (Exception,), {}),), {})(text)")


@attack("hidden inputs are the class name of what is returned, and its keys")
def result_names(s):
    carry(s, "return type(text, (), {'__repr__': lambda self: text})(), {text: text}")


@attack("hidden inputs are an attribute the test asks for and an AttributeError's text")
def attribute_text(s):
    carry(s, """\
class Result:
    def __getattr__(self, name):
        raise AttributeError(text)
return Result()""")


@attack("hidden inputs go to files in /tmp, to shared memory and into the notebook's folder, for later cells and exercises to print")
def files_for_later(s):
    carry(s, """\
for place in ("/tmp/leak.txt", "/dev/shm/leak.txt", "leak.txt", os.path.expanduser("~/leak.txt")):
    try:
        open(place, "a").write(text)
    except OSError:
        pass""")
    for name in ("test_threshold_prune", "test_magnitude_mask", "test_masked_train_step"):
        s.extra("for place in ('/tmp/leak.txt', '/dev/shm/leak.txt', 'leak.txt', os.path.expanduser('~/leak.txt')):\n"
                "    if os.path.exists(place):\n        print(open(place).read())", after=name)


@attack("a process left behind waits for hidden inputs and prints them in a later cell's name")
def stray_printer(s):
    carry(s, "os.write(leaking[1], text.encode())", "leaking = os.pipe()")
    s.extra("""
if os.fork() == 0:
    os.setsid()
    text = os.read(leaking[0], 4096).decode()
    print(text)
    os.write(1, text.encode())
    os._exit(0)
""")


@attack("hidden inputs are sent as forged outputs on every inherited socket")
def forged_outputs(s):
    carry(s, """\
tell(*[frame("ran", name, [LIST, [[DICT, ["output_type", "stream", "name", "stdout", "text", text]]]], text, 0.0)
       for name in ("masked_train_step", "magnitude_mask", "threshold_prune", "extra-1")])""", WIRE)


@attack("the run is said to be over before the answers ran, so that outputs are taken while tests run")
def late_outputs(s):
    carry(s, """\
tell(frame("ran", "masked_train_step", [LIST, [[DICT, ["output_type", "stream", "name", "stdout", "text", text]]]], text, 0.0), frame("end"))""",
          WIRE + "tell(frame('end'))")


@attack("the number of a process's exit is a hidden input: 59 digits of it")
def death_digits(s):
    carry(s, """\
if w.shape == (3, 5):
    digits = "31415926" + "".join(c for c in text if c.isdigit())[:40]
    tell(("exit " + digits).encode(), kinds=(socket.SOCK_SEQPACKET,))
    os._exit(1)""", WIRE)


@attack("the line of an exception is a hidden input, in a cell that has few lines")
def line_digits(s):
    carry(s, """\
if w.shape == (3, 5):
    number = int(abs(w.ravel()[0]) * 10_000) % 10_000
    exec(compile("\\n" * (number - 1) + "raise RuntimeError", get_ipython().compile.get_code_name("", "", 0) if hasattr(get_ipython(), "outputs") else "<x>", "exec"))""")


@attack("hidden inputs are put where markers look: metadata, comments, the cell's own source, the kernel's name")
def notebook_places(s):
    carry(s, """\
shell = get_ipython()
shell.user_ns["_exit_code"] = text
shell.set_next_input(text)
shell.payload_manager.write_payload({"source": "set_next_input", "text": text, "replace": True})
for folder in ("autograded", "feedback", "."):
    try:
        open(os.path.join(folder, "timestamp.txt"), "w").write(text)
    except OSError:
        pass""")


@attack("a finaliser, an atexit function and a signal handler print when the test's process ends")
def last_words(s):
    carry(s, """\
atexit.register(print, text)
signal.signal(signal.SIGTERM, lambda *args: print(text))
weakref.finalize(threshold_prune, print, text)
sys.exitfunc = lambda: print(text)
sys.excepthook = lambda *args: print(text)""", "import atexit, signal, weakref")


@attack("hidden inputs as a result of text, in containers and keys, in the hope of being shown as the wrong value")
def result_text(s):
    carry(s, "return {text: [text], 'values': (text, w.tolist())}")
