"""What the judge may send into the sandbox: inputs, probes, callbacks; never what could tell the answer."""
import threading
import time
from socket import socketpair as pair

import numpy as np
import pytest
import torch
import torch._dynamo  # what an optimizer imports when it is first made; slow in a thread

from autograder.channel import Channel
from autograder.crossing import Refused
from autograder.proxy import Callback, Conversation, Forged, Opaque, Proxy, TimedOut
from autograder.service import serve

STUDENT = """
import numpy as np
def double(x): return 2 * x
def spoil(x): x[:] = 0; return x
def fail(x): raise KeyError(x)
class exec(Exception): pass
class Sly(StopIteration): pass
def pretend(x): raise exec("print('owned')")
def stop(x): raise Sly
def leave(x): raise SystemExit
def ask(f, n): return [f(k) for k in range(n)]
def hang(x): return __import__("threading").Event().wait()     # a loop would keep a core from all tests that follow
def give_back(device): return device
def time(device): return device.event().stamp(device.clock())
def pry(device): return device.secret
def lie(device): device.clock = lambda: 0
class Thing:
    size = 3
    def __init__(self): self.parts = [1, 2, 3]
    def __getitem__(self, k): return self.parts[k]
    def __iter__(self): return iter(self.parts)
    def __eq__(self, other): return True
    def __array__(self): return np.zeros(2)
thing = Thing()
def keyed(x): return {object(): x}
def cycle(x): a = []; a.append(a); return a
"""


@pytest.fixture
def talk():
    """A judge's conversation with a service in a thread: the protocol without the processes."""
    ours, theirs = pair()
    scope, student = {"__name__": "setup", "np": np, "torch": torch, "secret": 42}, {}
    exec(STUDENT, student)
    thread = threading.Thread(target=serve, args=(Channel(theirs), student), daemon=True)
    thread.start()
    conversation = Conversation(ours, [scope], frozenset({"answer"}), 60.0)
    conversation.scope = scope
    conversation.names = conversation.request("names", [n for n in student if not n.startswith("_")])
    yield conversation
    conversation.channel.close()


def define(talk, source):
    exec(source, talk.scope)
    return talk.scope


def test_calls_copy_their_arguments(talk):
    array = np.ones(3)
    assert np.array_equal(talk.names["double"](array), 2 * array)
    assert talk.names["spoil"](array).sum() == 0 and array.sum() == 3


def test_only_data_and_handles_come_back(talk):
    thing = talk.names["thing"]
    assert type(thing) is Proxy and thing.size == 3 and thing[1] == 2 and list(thing) == [1, 2, 3]
    thing.size = 5
    assert thing.size == 5
    assert type(talk.names["keyed"](1)) is Proxy and type(talk.names["cycle"](1)) is Proxy


@pytest.mark.parametrize("use", [bool, float, int, hash, len, lambda t: t == 1, lambda t: t != 1, lambda t: 1 == t, lambda t: t < 2, lambda t: 1 in t,
                                 lambda t: np.ones(2) == t, lambda t: t + 1, lambda t: [0, 1][t], lambda t: sorted([t, t]), lambda t: {t: 1}, abs,
                                 lambda t: 2 in [t], lambda t: "x" if t else "y", lambda t: np.allclose(t, 0), torch.tensor, np.isnan])
def test_an_object_of_the_students_has_no_value(talk, use):
    with pytest.raises(Exception) as caught:
        use(talk.names["thing"])
    assert isinstance(caught.value, (Opaque, TypeError, RuntimeError, ValueError))


@pytest.mark.parametrize("name, kind", [("fail", KeyError), ("pretend", RuntimeError), ("stop", RuntimeError), ("leave", RuntimeError)])
def test_exceptions_arrive_as_built_in_ones(talk, name, kind):
    with pytest.raises(kind) as caught:
        talk.names[name](1)
    assert type(caught.value) is kind and caught.value is talk.raised and "owned" not in str(caught.value)


def test_all_over_a_lying_function_is_not_true(talk):
    with pytest.raises(RuntimeError):
        all(map(talk.names["stop"], [1, 2]))


def test_a_call_that_never_returns_times_out(talk):
    talk.deadline = time.monotonic() + 1
    with pytest.raises(TimedOut):
        talk.names["hang"](1)


def test_a_probe_runs_next_to_the_students_objects(talk):
    scope = define(talk, "def helper(x): return x + 1\ndef probe(f, x, k=2): return np.asarray(helper(f(x)) * k), type(f).__name__")
    value, kind = talk.observe(scope["probe"], (talk.names["double"], 3), {}, 0)
    assert value == 14 and kind == "function"


def test_a_model_and_its_optimizer_arrive_together(talk):
    scope = define(talk, "def probe(m, o): return all(p is q for p, q in zip(m.parameters(), o.param_groups[0]['params']))")
    model = torch.nn.Linear(2, 2)
    assert talk.observe(scope["probe"], (model, torch.optim.SGD(model.parameters(), lr=1)), {}, 0) is True


def test_a_part_of_a_tensor_arrives_without_the_rest(talk):
    """What is held out may lie behind what is given."""
    whole = torch.arange(6.0)
    define(talk, "def behind(x): return torch.empty(0).set_(x.untyped_storage())")
    for part in (whole[:2], torch.nn.Parameter(whole[:2])):
        assert talk.observe(talk.scope["behind"], (part,)).tolist() == [0, 1]


@pytest.mark.parametrize("source", [
    "probe = lambda f: f",
    "def make(n):\n    def probe(f): return n\n    return probe\nprobe = make(3)",
    "def probe(f): return secret",
    "def answer(f): return 3\nprobe = answer",
    "def answer(f): return 3\ndef probe(f): return answer(f)",
    "def _reference():\n    def answer(x): return x\n    return answer\nprobe = _reference()",
    "def _reference(): return 1\nprobe = _reference",
    "class Local: pass\ndef probe(f): return Local",
])
def test_what_could_tell_the_answer_is_refused(talk, source):
    scope = define(talk, source)
    with pytest.raises(Refused):
        talk.observe(scope["probe"], (talk.names["double"],), {}, 0)


def test_objects_of_the_notebooks_own_classes_are_refused(talk):
    scope = define(talk, "class Local: pass\ndef probe(x): return 1")
    with pytest.raises(Refused):
        talk.observe(scope["probe"], (scope["Local"](),), {}, 0)


def test_a_callback_runs_here_with_plain_data(talk):
    seen = []
    assert talk.names["ask"](Callback(lambda k: seen.append(k) or k * k), 4) == [0, 1, 4, 9] and seen == [0, 1, 2, 3]


def test_a_callback_has_a_limit(talk):
    with pytest.raises(RuntimeError):
        talk.names["ask"](Callback(lambda k: k, limit=3), 10)


class Event:
    def stamp(self, when): return when + 1


class Device:
    secret = 7
    def clock(self): return 41
    def event(self): return Event()


METHODS = {Device: ("clock", "event"), Event: ("stamp",)}


def test_a_device_is_called_through_its_listed_methods_only(talk):
    device = Callback(Device(), METHODS)
    assert talk.names["time"](device) == 42
    with pytest.raises(AttributeError):
        talk.names["pry"](device)
    with pytest.raises(AttributeError):
        talk.names["lie"](device)


def test_a_callback_keeps_its_identity_on_a_round_trip(talk):
    device = Callback(Device(), METHODS)
    assert talk.names["give_back"](device) is device.target


@pytest.mark.parametrize("message", [("value",), ("value", 1, 2), ("raise", [], 1, 2, 3), ("stop",), ("callback", 1, "x", (), {}), ("what", 1)])
def test_a_forged_answer_is_seen(message):
    ours, theirs = pair()
    conversation = Conversation(ours, [{}], frozenset(), 2.0)
    Channel(theirs).send(*message)
    with pytest.raises(Forged):
        conversation.request("names", [])


@pytest.mark.parametrize("method", ["secret", "__class__", "__call__", "__init__", "nothing"])
def test_a_forged_callback_is_seen(method):
    ours, theirs = pair()
    conversation = Conversation(ours, [{}], frozenset(), 2.0)
    conversation.sender.reference_of(Callback(Device(), METHODS))
    from autograder import values
    Channel(theirs, lambda m: values.pack(m, lambda v: [values.CALLBACK, 0])).send("callback", object(), method, (), {})
    with pytest.raises(Forged):
        conversation.request("names", [])
