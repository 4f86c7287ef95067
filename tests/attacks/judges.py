"""Attacks on the judge itself: data that is legal, and costs or breaks whoever reads it."""
from .registry import attack, others
from .wire import WIRE


def only_first(s, source, preparation=""):
    """Attack with the first exercise; the others are right and must stay so."""
    s.right("magnitude_mask", "masked_train_step")
    if preparation:
        s.extra(preparation)
    s.answer("threshold_prune", source)


@attack("a dictionary whose keys all have the same hash: quadratic time for whoever rebuilds it", earns=others("threshold_prune"))
def colliding_keys(s):
    only_first(s, """
def threshold_prune(w, t):
    global armed
    armed = True
    return w, w
""", """
armed = False
def send_bomb(real):
    def send(self, *message, **kwargs):
        import autograder.values as values, msgpack
        if armed and message[0] == "value":
            keys = [[7, format(n * (2**61 - 1), "x")] for n in range(1, 400_000)]
            data = msgpack.packb([1, ["value", [2, keys]]])
            self.sock.setblocking(True)
            self.sock.sendall(len(data).to_bytes(8, "big") + data)
        else:
            real(self, *message, **kwargs)
    return send
try:
    import autograder.channel as channel
    channel.Channel.send = send_bomb(channel.Channel.send)
except ImportError:
    pass
""")


@attack("two million empty lists as a result, again and again", earns=others("threshold_prune"))
def many_small_objects(s):
    only_first(s, "def threshold_prune(w, t):\n    return [[] for _ in range(1_990_000)]")


@attack("a result nested as deep as is allowed, with half a million numbers at the bottom", earns=others("threshold_prune"))
def deep_and_wide(s):
    only_first(s, """
def threshold_prune(w, t):
    nest = [0] * 500_000
    for _ in range(35):
        nest = [nest]
    return nest, nest""")


@attack("a whole number of 60 million digits", earns=others("threshold_prune"))
def long_integer(s):
    only_first(s, "def threshold_prune(w, t):\n    n = 1 << 200_000_000\n    return n, n")


@attack("60 MB arrays as results and as changed inputs, for every case", earns=others("threshold_prune"))
def fat_results(s):
    only_first(s, "def threshold_prune(w, t):\n    return np.zeros(7_000_000), w")


@attack("pictures of 4 MB in 70 cells: more than the judge may report")
def flood_of_pictures(s):
    for n in range(70):
        s.extra("from IPython.display import Image, display\n"
                "display(Image(data=b'\\x89PNG\\r\\n\\x1a\\n' + bytes(3_100_000), format='png'))" if n else "", after=None)


@attack("200 extra cells that each report 15 MB of forged output")
def flood_of_outputs(s):
    s.extra(WIRE + """
if msgpack:
    for n in range(200):
        tell(frame("ran", f"extra-{n}", [LIST, [[LIST, []]] * 600_000], None, 0.0), kinds=(socket.SOCK_STREAM,))
""")
    for n in range(60):
        s.extra(f"{n}", after=None)


@attack("outputs of a million parts")
def million_outputs(s):
    s.extra("get_ipython().outputs = [{'output_type': 'stream', 'name': 'stdout', 'text': 'x'}] * 1_000_000")


@attack("an answer whose source breaks the parser: 60,000 signs, brackets and strings in each other")
def parser_bomb(s):
    for name, bomb in zip(("threshold_prune", "magnitude_mask", "masked_train_step"), ("-" * 60_000 + "1", "(" * 60_000, "f(" * 500 + "a" + "+a" * 60_000)):
        s.answer(name, bomb)
    for bomb in ("a" + ".a" * 100_000, "a" + "[0]" * 60_000, "lambda:" * 20_000 + "0", "not " * 50_000 + "1",
                 "\n".join(" " * n + "if 1:" for n in range(200)), "1" * 100_000, "x = 0x" + "f" * 900_000, "a" + "=a" * 100_000, "{" * 300 + "}" * 300,
                 "try:\n pass\n" * 1 + "finally:\n pass", "f'" + "{" * 200, "\\N{" * 1000, "\0" * 100, "# coding: utf-7\n+AG8-", "'" * 100_000):
        s.extra(bomb, after=None)


@attack("an answer cell of a megabyte, one of a million names, and a cell of a million lines", earns=others("threshold_prune"))
def huge_sources(s):
    only_first(s, ";".join(f"a{n}=1" for n in range(100_000)))
    s.extra("\n" * 1_000_000)
    s.extra("x = '" + "y" * 900_000 + "'")


@attack("sources that make the parser warn 20,000 times, on a stderr that every judge shares")
def parser_warnings(s):
    s.extra("1" + "if 1 else 1" * 20_000, after=None)
    s.extra("\n".join(f"0x{n:x}for x in ()" for n in range(2000)), after="threshold_prune")
