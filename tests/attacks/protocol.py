"""Attacks that forge what the sandbox says: frames on inherited sockets, and patched pieces of the kit inside it."""
from .registry import attack, others
from .wire import WIRE, in_every_test

ALL = '("threshold_prune", "magnitude_mask", "masked_train_step", "test_threshold_prune", "test_magnitude_mask", "test_masked_train_step")'


@attack("forged `ran` frames for every cell and a forged `end`")
def forged_ran(s):
    s.extra(WIRE + f"""
tell(*[frame("ran", name, [LIST, []], None, 0.0) for name in {ALL}], frame("end"))
""")


@attack("a forged `end` before the other cells have run, so that they run during the tests")
def early_end(s):
    s.extra(WIRE + 'tell(frame("end"))')
    s.lookup()


@attack("forged verdicts: frames called result, score, passed")
def forged_result(s):
    s.extra(WIRE + """
verdict = [DICT, ["exercises", [LIST, []], "scores", [DICT, ["test_threshold_prune", 3.0]], "notebook", "", "flags", [LIST, []]]]
tell(frame("result", verdict), frame("score", 12.0), frame("passed"))
""")


@attack("a forged loss whose number is a superscript: isdigit() says yes, int() says no")
def lost_with_superscript(s):
    s.extra(WIRE + f"""
tell(*[frame("lost", name, "signal \\u00b2") for name in {ALL}])
""")


@attack("a forged loss with a number of 5000 digits, more than int() takes")
def lost_with_many_digits(s):
    s.extra(WIRE + f"""
tell(*[frame("lost", name, "exit " + "9" * 5000) for name in {ALL}])
""")


@attack("forged outputs whose type and name are arrays, which have no single truth value")
def outputs_of_arrays(s):
    s.extra(WIRE + f"""
array = [ARRAY, "float64", [3], bytes(24)]
outputs = [LIST, [[DICT, ["output_type", array]], [DICT, ["output_type", "stream", "name", array]],
                  [DICT, ["output_type", "error", "traceback", array, "ename", array]],
                  [DICT, ["output_type", "display_data", "data", [DICT, ["image/png", array, "text/plain", array]]]]]]
tell(*[frame("ran", name, outputs, None, 0.0) for name in {ALL}])
""")


@attack("frames with headers of 2⁶³ bytes, before and during tests")
def oversized_header(s):
    in_every_test(s, 'tell(struct.pack("!Q", 2**63))')


@attack("a frame that never ends: 100 bytes announced, 10 sent", earns=others("threshold_prune"), status={"threshold_prune": ("timeout", "crashed")})
def endless_frame(s):
    s.extra(WIRE)
    s.right("magnitude_mask", "masked_train_step")
    s.answer("threshold_prune", "def threshold_prune(w, t):\n    tell(struct.pack('!Q', 100) + b'x' * 10)\n    time.sleep(60)")


@attack("msgpack nested 100,000 deep")
def deep_frame(s):
    in_every_test(s, r'tell(framed(b"\x91" * 100_000 + b"\xc0"))')


@attack("a pickle in place of a value, which writes a file where it is loaded")
def pickled_reply(s):
    s.extra(WIRE + """
import pickle
class Payload:
    def __reduce__(self):
        return exec, ("open('/tmp/featherweight-escaped-pickled_reply', 'w')",)
stolen = pickle.dumps(Payload())
""")
    in_every_test(s, 'tell(frame("value", [PICKLE, stolen]), framed(stolen))')


@attack("a marshalled probe in place of a value")
def marshalled_reply(s):
    s.extra("""
import marshal
code = compile("open('/tmp/featherweight-escaped-marshalled_reply', 'w')", "x", "exec")
spec = marshal.dumps({"name": "f", "code": code, "defaults": b"", "globals": {}})
""")
    in_every_test(s, 'tell(frame("value", [PROBE, spec]))')


@attack("arrays with negative, overflowing and contradicting shapes")
def malformed_shapes(s):
    in_every_test(s, """\
tell(*[frame("value", [TUPLE, [[ARRAY, "float64", shape, b"x" * 8]] * 2])
           for shape in ([-1], [-1, -8], [2**40, 2**40], [2**63, 0], [1] * 70, "ab", [1.0], [True])])""")


@attack("an array of 2⁶² rows and no columns")
def array_of_nothing(s):
    in_every_test(s, """\
tell(frame("value", [TUPLE, [[ARRAY, "bool", [2**62, 0], b""], [TENSOR, "float32", [2**62, 0], b""]]]))""")


@attack("dtypes that hold pointers or names of numpy's own: object, void, str, datetime64, os.system")
def malformed_dtypes(s):
    in_every_test(s, """\
tell(*[frame("value", [TUPLE, [[tag, dtype, [1], b"x" * 8]] * 2])
           for tag in (ARRAY, SCALAR, TENSOR) for dtype in ("object", "O", "V8", "U2", "datetime64[s]", "float128", 8, None, "os.system")])""")


@attack("tags that no one knows, containers without their values, keys without hash")
def unknown_tags(s):
    in_every_test(s, """\
tell(*[frame("value", node) for node in ([99], [-1], ["x"], [], [True, []], [LIST], [LIST, 1], [DICT, [1]], {"a": 1},
           [DICT, [[LIST, []], 1]], [SET, [[HANDLE, 0]]], [BIG_INT, 5], [BIG_INT, "zz"], [HANDLE, "x"], [CALLBACK, 7])])""")


@attack("replies before any question, fifty of them")
def early_replies(s):
    in_every_test(s, 'tell(*[frame("value", [TUPLE, [bits((3, 5), 1), bits((3, 5), 1)]])] * 50)')


@attack("every answer twice, so that an old right one answers a new question")
def repeated_replies(s):
    s.extra("""
import autograder.channel
once = autograder.channel.Channel.send
def twice(self, *message, **kwargs):
    once(self, *message, **kwargs)
    if message[0] == "value":
        once(self, *message, **kwargs)
autograder.channel.Channel.send = twice
""")
    s.lookup()


@attack("calls of the judge's callbacks that were never handed out: __globals__, __class__, __reduce__")
def forged_callbacks(s):
    in_every_test(s, """\
tell(*[frame("callback", [CALLBACK, n], method, [TUPLE, []], [DICT, []])
           for n in (0, -1, 10**9) for method in ("__call__", "__globals__", "__getattribute__", "__reduce__", "__class__")])""")


@attack("exceptions with names of any type and lines of any size")
def forged_raise(s):
    in_every_test(s, """\
tell(frame("raise", [LIST, ["AssertionError", 1, None, "exec", [LIST, []]]], 10**18))
    tell(frame("raise", None, None), frame("raise", "ValueError", -1), frame("stop"), frame("raise"))""")


@attack("handles to objects that are none, and answers that are the kit's own objects")
def forged_handles(s):
    s.extra(WIRE + """
import autograder.service as service
real = service.Service.names
def names(self, wanted):
    self.objects.extend([self, self.channel, service, eval])
    return {name: eval for name in (*wanted, "exam", "np", "observe", "__builtins__", "_reference")}
service.Service.names = names
""")


@attack("Service is patched: every call answers with what a test would like to see")
def patched_service(s):
    s.extra("""
import autograder.service as service, autograder.checks as checks
def generous(self, *args):
    return True
service.Service.call = generous
checks.call_and_keep = lambda function, *args: (True, args)
""")


@attack("the packer is patched: every result goes out as an array of ones that claims any shape")
def patched_packer(s):
    s.extra("""
import autograder.values as values
real = values._encode
def encode(value, opaque, depth):
    return real(np.ones((3, 5), bool) if isinstance(value, np.ndarray) else value, opaque, depth)
values._encode = encode
""")


@attack("the session is patched: tests are served by a loop of the student's")
def patched_session(s):
    s.extra(WIRE + """
import sys
session = sys.modules.get("autograder.session")
if session:
    def serve(channel, namespace):
        while True:
            operation, *fields = channel.receive()
            channel.send("value", {"threshold_prune": 1, "magnitude_mask": True, "masked_train_step": 0.0} if operation == "names" else True)
    session.serve = serve
    session.Session._stop_strays = lambda self: None
    session.finish = lambda child: "exit 0"
""")


@attack("a process left behind steals the judge's requests from the control sockets and answers them")
def stray_answers(s):
    s.extra(WIRE + """
import sys
session = sys.modules.get("autograder.session")
if session:
    session.Session._stop_strays = lambda self: None
if os.fork() == 0:
    os.setsid()
    end = time.time() + 20
    while time.time() < end:
        for sock in inherited():
            if sock.type == socket.SOCK_SEQPACKET:
                sock.settimeout(0.01)
                try:
                    message, fds, *_ = socket.recv_fds(sock, 64, 1)
                except OSError:
                    continue
                for fd in fds:
                    theirs = socket.socket(fileno=fd)
                    theirs.sendall(frame("value", [DICT, ["threshold_prune", True, "magnitude_mask", True, "masked_train_step", 0.0]]))
                    theirs.sendall(frame("value", True) * 50)
    os._exit(0)
""")


@attack("what probes rely on is patched: randn, Linear, SGD.step, mul_, detach, clone, cross_entropy")
def patched_probes(s):
    s.extra("""
zeros = lambda *args, **kwargs: torch.zeros(1)
torch.Tensor.mul_ = torch.Tensor.detach = torch.Tensor.clone = lambda self, *args: self
torch.optim.SGD.step = torch.optim.Adam.step = lambda self, *args: None
torch.nn.functional.cross_entropy = lambda x, y: x.sum() * 0
torch.manual_seed = lambda n: None
torch.nn.Linear.forward = lambda self, x: x.new_zeros(len(x), self.out_features, requires_grad=True)
""")
    s.answer("masked_train_step", "def masked_train_step(model, masks, optimizer, batch):\n    return float(F.cross_entropy(model(batch[0]), batch[1]))")


@attack("evidence is forged: the probe is recognised by its name and replaced by a flattering one")
def flattering_probe(s):
    s.extra("""
import autograder.service as service
real = service.Service.call
def call(self, target, args, kwargs, number):
    if "retrain" in getattr(target, "__name__", ""):
        return {"losses": [1.0, 0.5, 0.25], "trace": [], "masks": {"0.weight": torch.zeros(5, 4, dtype=torch.bool)}}
    return real(self, target, args, kwargs, number)
service.Service.call = call
""")


@attack("input left unchanged, says the patched helper, though it was changed")
def forged_after(s):
    s.extra("""
import autograder.checks as checks
checks.call_and_keep = lambda function, *args: (function(*args), tuple(np.zeros(1) for _ in args))
""")
    s.right("threshold_prune")


@attack("a table of the inputs that anyone can see in the release")
def lookup_table(s):
    s.lookup()
