"""Text for answer cells that speak the wall's own protocol over whatever sockets they inherited."""

WIRE = """
import os, socket, struct, time
try:
    import msgpack
except ImportError:
    msgpack = None
LIST, TUPLE, SET, DICT, ARRAY, SCALAR, TENSOR, BIG_INT, HANDLE, CALLBACK, PROBE, PICKLE = range(12)

def inherited():
    found = []
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                found.append(socket.socket(fileno=os.dup(int(name))))
            except OSError:
                pass
    return found

def framed(data):
    return struct.pack("!Q", len(data)) + data

def frame(*message):
    return framed(msgpack.packb([TUPLE, list(message)], use_bin_type=True))

def tell(*frames, kinds=(socket.SOCK_STREAM, socket.SOCK_SEQPACKET)):
    for sock in inherited():
        for data in frames:
            try:
                if sock.type in kinds and sock.family == socket.AF_UNIX:
                    sock.settimeout(1)
                    sock.sendall(data)
            except OSError:
                pass

def bits(shape, value):
    data = bytes([value]) * int(np.prod(shape))
    return [ARRAY, "bool", list(shape), data]
"""

TELL_IN_TEST = """
def threshold_prune(w, t):
    {0}
    return w, np.ones(w.shape, bool)
""", """
def magnitude_mask(w, s):
    {0}
    return np.ones(w.shape, bool)
""", """
def masked_train_step(model, masks, optimizer, batch):
    {0}
    return 0.0
"""


def in_every_test(s, statement: str):
    """Let every answer run `statement` when a test calls it, then answer wrongly."""
    s.extra(WIRE)
    for name, source in zip(("threshold_prune", "magnitude_mask", "masked_train_step"), TELL_IN_TEST):
        s.answer(name, source.format(statement))
