"""Answers that return objects which lie about what they are."""
from .registry import attack

YES = """
class Yes:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __contains__ = __lt__
    def __bool__(self): return True
    def __hash__(self): return 0
    def __len__(self): return 2
    def __float__(self): return 1.0
    def __int__(self): return 2
    __index__ = __int__
    def __iter__(self): return iter((self, self))
    def __getitem__(self, key): return self
    def __call__(self, *args, **kwargs): return self
    def __invert__(self): return self
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __and__ = __or__ = lambda self, other: self
    __abs__ = __neg__ = __invert__
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self
"""
LIAR = "\ndef threshold_prune(w, t):\n    return {0}, {0}\n"
MASK = "\ndef magnitude_mask(w, s):\n    return {0}\n"
STEP = "\ndef masked_train_step(model, masks, optimizer, batch):\n    return {0}\n"


def everywhere(s, preparation, value):
    """Give `value` as every exercise's result."""
    s.extra(preparation)
    s.answer("threshold_prune", LIAR.format(value))
    s.answer("magnitude_mask", MASK.format(value))
    s.answer("masked_train_step", STEP.format(value))


@attack("an object that claims to equal, contain, call and convert to everything")
def equals_everything(s):
    everywhere(s, YES, "Yes()")


@attack("an object whose __class__ says ndarray")
def class_lie(s):
    everywhere(s, YES + "\nclass Array(Yes):\n    __class__ = np.ndarray\n    dtype, shape, ndim = np.dtype(bool), (3, 5), 2", "Array()")


@attack("an ndarray subclass that takes over every numpy function and ufunc")
def array_function(s):
    everywhere(s, """
class Array(np.ndarray):
    def __array_function__(self, *args): return True
    def __array_ufunc__(self, *args, **kwargs): return np.bool_(True)
    def __eq__(self, other): return True
    def tolist(self): return [True, False, False, True]
""", "np.ones((3, 5)).view(Array)")


@attack("a tensor subclass that takes over every torch function")
def torch_function(s):
    everywhere(s, """
class Lie(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None): return True
""", "torch.ones(3, 5).as_subclass(Lie)")


@attack("subclasses of float, int, str, list, tuple and dict with a lying equality")
def plain_subclasses(s):
    everywhere(s, """
def lying(base):
    return type(base.__name__, (base,), {"__eq__": lambda a, b: True, "__ne__": lambda a, b: False, "__hash__": lambda a: 0,
                                         "__sub__": lambda a, b: 0.0, "__rsub__": lambda a, b: 0.0, "__getitem__": lambda a, k: a})
""", "lying(list)([lying(float)(1), lying(int)(1), lying(str)('x'), lying(tuple)(), lying(dict)()])")


@attack("objects whose __array__ gives the input back, whoever asks")
def array_protocol(s):
    everywhere(s, """
class Chameleon:
    def __array__(self, dtype=None, copy=None):
        import sys
        frame = sys._getframe(1)
        while frame:
            for name in ("wanted", "w"):
                if isinstance(frame.f_locals.get(name), np.ndarray):
                    return frame.f_locals[name]
            frame = frame.f_back
        return np.zeros(3)
""", "Chameleon()")


@attack("__array_interface__ that points at memory which is not the sandbox's")
def array_interface(s):
    everywhere(s, """
class Pointer:
    __array_interface__ = {"version": 3, "shape": (3, 5), "typestr": "|b1", "data": (4096, False)}
""", "Pointer()")


@attack("NaN of the right shape, against tests that ask `not error > tolerance`")
def not_a_number(s):
    s.answer("threshold_prune", "def threshold_prune(w, t):\n    return np.full(w.shape, np.nan), np.full(w.shape, np.nan)")
    s.answer("magnitude_mask", "def magnitude_mask(w, s):\n    return np.full(w.shape, np.nan)")
    s.answer("masked_train_step", """
def masked_train_step(model, masks, optimizer, batch):
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(float("nan"))
    return float("nan")""")


@attack("a masked array with everything masked: numpy's comparisons then say yes")
def masked_arrays(s):
    s.answer("threshold_prune", "def threshold_prune(w, t):\n    return np.ma.masked_all(w.shape), np.ma.masked_all(w.shape, dtype=bool)")
    s.answer("magnitude_mask", "def magnitude_mask(w, s):\n    return np.ma.masked_all(w.shape, dtype=bool)")


@attack("an iterator that never ends, where a pair is unpacked")
def infinite_iterator(s):
    s.extra("import itertools")
    s.answer("threshold_prune", "def threshold_prune(w, t):\n    return itertools.repeat(np.ones(w.shape, bool))")
    s.answer("magnitude_mask", "def magnitude_mask(w, s):\n    return (True for _ in itertools.count())")
    s.answer("masked_train_step", "def masked_train_step(*args):\n    return itertools.count()")


@attack("named tuples and a class called Size whose iteration lies")
def named_tuples(s):
    s.extra("""
import collections
class Size(tuple):
    _fields = ("a", "b")
    def __iter__(self):
        while True:
            yield self
    def __len__(self): return 2
class Pair(collections.namedtuple("Pair", "pruned mask")):
    def __eq__(self, other): return True
    def __iter__(self): return iter((True, True))
""")
    s.answer("threshold_prune", "def threshold_prune(w, t):\n    return Size((Size(), Pair(w, w)))")
    s.answer("magnitude_mask", "def magnitude_mask(w, s):\n    return Pair(Size(), Size())")


@attack("a numpy scalar class of the student's that claims to be numpy's own")
def fake_scalar(s):
    everywhere(s, """
class float64(np.float64):
    __module__ = "numpy"
    dtype = np.dtype(bool)
    def tobytes(self): return b"\\x01"
    def __eq__(self, other): return True
""", "float64(1)")


@attack("booleans whose bytes are neither 0 nor 1, to be counted as many")
def fat_booleans(s):
    s.answer("magnitude_mask", "def magnitude_mask(w, s):\n    return np.full(w.shape, 254, np.uint8).view(bool)")
    s.answer("threshold_prune", "def threshold_prune(w, t):\n    return w, np.full(w.shape, 2, np.uint8).view(bool)")


@attack("results that broadcast: scalars, one-element arrays, empty arrays")
def broadcasting(s):
    s.answer("threshold_prune", "def threshold_prune(w, t):\n    return np.zeros(0), np.array([[[True]]])")
    s.answer("magnitude_mask", "def magnitude_mask(w, s):\n    return np.zeros((0, *w.shape), bool)")
    s.answer("masked_train_step", "def masked_train_step(*args):\n    return torch.zeros(0)")


@attack("arrays of objects, structured arrays, memory maps, dates: dtypes that carry more than numbers")
def odd_dtypes(s):
    s.extra(YES)
    s.answer("threshold_prune", "def threshold_prune(w, t):\n    return np.full(w.shape, Yes(), dtype=object), np.full(w.shape, Yes(), dtype=object)")
    s.answer("magnitude_mask", "def magnitude_mask(w, s):\n    return np.zeros(w.shape, dtype=[('a', 'O'), ('b', '?')])")
    s.answer("masked_train_step", "def masked_train_step(*args):\n    return np.datetime64('NaT')")


@attack("sparse, meta, quantised and nested tensors")
def odd_tensors(s):
    s.answer("threshold_prune", "def threshold_prune(w, t):\n    return torch.empty(w.shape, device='meta'), torch.ones(w.shape).to_sparse()")
    s.answer("magnitude_mask", "def magnitude_mask(w, s):\n    return torch.quantize_per_tensor(torch.ones(w.shape), 1.0, 0, torch.qint8)")
    s.answer("masked_train_step", "def masked_train_step(*args):\n    return torch.nested.nested_tensor([torch.ones(1)])")


@attack("whole numbers too large for any float, as results and in containers")
def endless_integers(s):
    everywhere(s, "", "[10 ** 400, -10 ** 400]")


@attack("the answer is no function: a class, a dictionary, a module, a number, a string of code")
def no_function(s):
    s.answer("threshold_prune", YES + "\nthreshold_prune = Yes()")
    s.answer("magnitude_mask", "magnitude_mask = {'__call__': print}")
    s.answer("masked_train_step", "masked_train_step = '__import__(\"os\").getpid()'")


@attack("the model is changed into one that shows the layers another weight than it uses")
def two_faced_model(s):
    s.answer("masked_train_step", """
def masked_train_step(model, masks, optimizer, batch):
    class Face(torch.Tensor):
        def detach(self): return torch.zeros(self.shape)
    class Linear(type(model[0])):
        @property
        def weight(self): return self._parameters["weight"].as_subclass(Face)
    for layer in model:
        if isinstance(layer, torch.nn.Linear):
            layer.__class__ = Linear
    return 0.0""")
