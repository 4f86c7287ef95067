"""Runs notebook cells as Jupyter would, and keeps what they print, show and raise.

Does not send anything anywhere, and does not judge: the outputs are for a human marker.
"""
import base64
import io
import logging
import os
import subprocess
import sys
import tempfile
import traceback

os.environ.setdefault("IPYTHONDIR", os.path.join(tempfile.gettempdir(), "ipython"))
os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")

from IPython.core.compilerop import CachingCompiler                                     # noqa: E402
from IPython.core.displayhook import DisplayHook                                        # noqa: E402
from IPython.core.displaypub import DisplayPublisher                                    # noqa: E402
from IPython.core.interactiveshell import InteractiveShell                              # noqa: E402
from traitlets.config import Config                                                     # noqa: E402


class Stream(io.TextIOBase):
    """Stands for stdout or stderr: what is written becomes one output per run of writes."""

    def __init__(self, name: str, outputs: list):
        self.name, self.outputs = name, outputs

    def write(self, text: str) -> int:
        last = self.outputs[-1] if self.outputs else {}
        if last.get("name") != self.name:
            last = {"output_type": "stream", "name": self.name, "text": ""}
            self.outputs.append(last)
        if len(last["text"]) <= Shell.output_limit:          # keep a flood from filling memory
            last["text"] += text[:Shell.output_limit + 1]
        return len(text)

    def writable(self):
        return True


class _Publisher(DisplayPublisher):
    def publish(self, data, metadata=None, **_):
        self.shell.outputs.append({"output_type": "display_data", "data": _texts(data)})

    def clear_output(self, wait=False):
        self.shell.outputs.clear()


class _Hook(DisplayHook):
    def start_displayhook(self): pass
    def write_output_prompt(self): pass
    def finish_displayhook(self): pass
    def log_output(self, format_dict): pass

    def write_format_data(self, format_dict, md_dict=None):
        self.shell.outputs.append({"output_type": "execute_result", "data": _texts(format_dict)})


def _texts(data):
    """The parts of a mime bundle that a marker needs, as text; images in base64."""
    return {mime: base64.b64encode(value).decode() if type(value) is bytes else value for mime, value in dict(data).items()
            if type(mime) is str and type(value) in (str, bytes) and mime in ("text/plain", "image/png", "image/jpeg")}


class _Compiler(CachingCompiler):
    """Names code for its cell, so that a traceback says where a student's own lines are."""
    cell_name = "cell"

    def get_code_name(self, raw_code, transformed_code, number):
        return f"<{_Compiler.cell_name}>"


class Shell(InteractiveShell):
    """An IPython shell without history, terminal or event loop."""
    output_limit = 256 << 10
    compiler_class = _Compiler

    def __init__(self, **kwargs):
        self.outputs = []
        quiet = Config(HistoryManager={"enabled": False}, InteractiveShell={"colors": "nocolor"})
        super().__init__(config=quiet, display_pub_class=_Publisher, displayhook_class=_Hook, **kwargs)
        logging.getLogger("traitlets").setLevel(logging.ERROR)

    def enable_gui(self, gui=None):
        """There is no event loop to enable; `%matplotlib inline` needs none."""

    def system(self, cmd):
        """`!command`, through a pipe: the sandbox has no terminals."""
        ran = subprocess.run(self.var_expand(cmd, depth=1), shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        print(ran.stdout.decode(errors="replace"), end="")

    def showtraceback(self, exc_tuple=None, *_, **__):
        """Keep the exception with the student's own lines of its traceback; IPython's own is long, and slow on deep recursion."""
        kind, error, trace = exc_tuple or sys.exc_info()
        kept = [frame for frame in traceback.extract_tb(trace) if is_cell(frame.filename)][-10:]
        lines = ["Traceback (most recent call last):\n", *traceback.format_list(kept)] if kept else []
        lines += traceback.format_exception_only(kind, error)
        self.outputs.append({"output_type": "error", "ename": str(kind.__name__), "evalue": lines[-1].strip(), "traceback": lines})

    def showsyntaxerror(self, filename=None, running_compiled_code=False):
        self.showtraceback()

    def run(self, source: str, name: str) -> tuple[list[dict], str | None]:
        """Run one cell; returns its outputs and the name of the exception that ended it, if one did."""
        self.outputs.clear()
        streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = Stream("stdout", self.outputs), Stream("stderr", self.outputs)
        _Compiler.cell_name = name
        try:
            result = self.run_cell(source, store_history=False)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as broken:              # a cell may have broken the shell itself
            error = broken
        finally:
            sys.stdout, sys.stderr = streams
        return list(self.outputs), type(error).__name__ if error is not None else None


def is_cell(filename: str) -> bool:
    """Whether code of this file name came from a notebook cell."""
    return filename.startswith("<") and filename.endswith(">") and filename not in ("<string>", "<stdin>", "<probe>", "<frozen importlib._bootstrap>")
