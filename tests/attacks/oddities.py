"""Honest submissions that look odd. Each must earn everything."""
import json

from .registry import oddity
from .submission import POINTS


@oddity("answers live in extra cells; the answer cells are deleted")
def answers_in_extra_cells(s):
    for name in POINTS:
        cell = s.cell(name)
        s.extra(cell["source"], after=name)
        s.cells.remove(cell)


@oddity("ids and grade_ids are lost, as some editors lose them")
def lost_ids(s):
    for cell in s.cells:
        cell.pop("id", None)
        cell["metadata"] = {}
    s.notebook |= {"nbformat_minor": 2}


@oddity("test cells are deleted, copied and edited by accident")
def damaged_tests(s):
    s.cells.remove(s.cell("test_threshold_prune"))
    s.cells.append(json.loads(json.dumps(s.cell("test_magnitude_mask"))))
    s.cell("test_masked_train_step")["source"] += "\nprint('I looked at this')"


@oddity("sources are lists of lines, with Windows line ends, tabs and a byte order mark in the file")
def windows_file(s):
    for name in POINTS:
        source = s.cell(name)["source"].replace("    ", "\t")
        s.answer(name, [line + "\r\n" for line in source.split("\n")])
    s.raw = b"\xef\xbb\xbf" + json.dumps(s.notebook, indent=4).replace("\n", "\r\n").encode()


@oddity("prints, warnings, plots and logging, on stdout and stderr, in cells and in answers")
def noisy(s):
    s.extra("import logging, sys, warnings\nimport matplotlib.pyplot as plt\n%matplotlib inline\nplt.hist(np.random.randn(100))\nplt.show()\n"
            "print('hello', file=sys.stderr)\nwarnings.warn('careful')\nlogging.warning('careful')")
    for name in POINTS:
        source = s.cell(name)["source"].replace('"""\n', '"""\n    print("called")\n    warnings.warn("careful")\n    print("x", file=sys.stderr)\n', 1)
        s.answer(name, source)


@oddity("an extra cell that fails, one that exits, one that is no Python, one with magics and a shell command")
def failing_extras(s):
    for source in ("1 / 0", "import sys\nsys.exit(1)", "this is no Python", "%timeit -n1 -r1 sum(range(10))\n!ls\n%who\nx = !echo hello", "?np.argsort", "quit()", "exit"):
        s.extra(source, after="magnitude_mask")


@oddity("answers are callable objects, partials, lambdas and functions with helpers in other cells")
def other_callables(s):
    s.extra("def keep(w, t):\n    if t < 0:\n        raise ValueError\n    return np.abs(w) >= t", after="threshold_prune")
    s.answer("threshold_prune", "threshold_prune = lambda w, t: (w * keep(w, t), keep(w, t))")
    s.answer("magnitude_mask", "import functools\n" + s.cell("magnitude_mask")["source"].replace("def magnitude_mask(w, s)", "def _masked(sign, w, s)") +
             "\nmagnitude_mask = functools.partial(_masked, 1)")
    s.answer("masked_train_step", s.cell("masked_train_step")["source"].replace("def masked_train_step(", "class Step:\n  def __call__(self, ").replace("\n    ", "\n      ")
             + "\nmasked_train_step = Step()")


@oddity("lists instead of tuples, tensors instead of arrays, numpy numbers instead of floats")
def kindred_types(s):
    s.answer("threshold_prune", s.cell("threshold_prune")["source"].replace("return w * mask, mask", "return [torch.from_numpy(w * mask), torch.from_numpy(mask)]"))
    s.answer("masked_train_step", s.cell("masked_train_step")["source"].replace("return loss.item()", "return loss.detach().numpy()"))


@oddity("an answer is given twice; the second is right, and a third is the empty stub")
def second_thoughts(s):
    for name in POINTS:
        wrong = json.loads(json.dumps(s.cell(name)))
        wrong["source"] = f"def {name}(*args):\n    return None"
        s.cells.insert(s.cells.index(s.cell(name)), wrong)


@oddity("cells in another order: all answers at the end, then all tests")
def reordered(s):
    for kind in ("", "test_"):
        for name in POINTS:
            cell = s.cell(kind + name)
            s.cells.remove(cell)
            s.cells.append(cell)


@oddity("settings that outlive their cell: print options, seeds, threads, warnings as errors, working folder, random state")
def lasting_settings(s):
    s.extra("import os, random, warnings\nnp.set_printoptions(precision=1)\nnp.random.seed(7)\ntorch.manual_seed(7)\nrandom.seed(7)\ntorch.set_num_threads(2)\n"
            "os.makedirs('/tmp/mine', exist_ok=True)\nos.chdir('/tmp/mine')\ntorch.set_printoptions(precision=1)\nwarnings.simplefilter('ignore')\nnp.seterr(all='ignore')")


@oddity("names of the course's own: variables called w, t, s, mask, masks, model, exam, cases, seed, case, result, _")
def common_names(s):
    s.extra("w = t = s = mask = masks = model = optimizer = batch = exam = cases = case = edge = seed = callback = result = loss = x = y = name = 5\n_ = 6\n_rng = 7", after="masked_train_step")
    s.extra("retrain = observe_ = Exam = score = points = 8", after="threshold_prune")


@oddity("a cell left running too long behind the last exercise")
def slow_extra(s):
    s.extra("import time\ntime.sleep(30)", after="test_masked_train_step")


@oddity("a thread and a process pool left running")
def left_running(s):
    s.extra("import threading, time, subprocess\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nsubprocess.Popen(['sleep', '60'])\n"
            "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(2)\nlist(pool.map(abs, range(10)))")


@oddity("a notebook saved with outputs, execution counts, widgets and an editor's metadata")
def saved_with_outputs(s):
    for n, cell in enumerate(s.cells):
        cell["metadata"] |= {"tags": ["x"], "collapsed": False, "vscode": {"languageId": "python"}, "id": "abc", "colab": {"base_uri": "https://localhost"}}
        if cell["cell_type"] == "code":
            cell |= {"execution_count": n, "outputs": [{"output_type": "stream", "name": "stdout", "text": ["hello\n"] * 100}]}
    s.notebook["metadata"] |= {"colab": {"provenance": []}, "kernelspec": {"name": "myenv", "display_name": "Python (myenv)", "language": "python"}}


@oddity("the notebook has another name; a data file and a checkpoint folder lie beside it", on_disk=True)
def renamed_notebook(s):
    s.files["my solution (final) 2.ipynb"] = s.bytes()
    s.files["notes.txt"] = b"x"
    s.files[".ipynb_checkpoints/x-checkpoint.ipynb"] = s.bytes()
    s.no_notebook = True


@oddity("a hundred small cells of the student's own")
def many_cells(s):
    for n in range(100):
        s.extra(f"x = {n}", after=("setup-2", "threshold_prune", "magnitude_mask", "text-12")[n % 4])


@oddity("torch's default dtype is set to float64 in a cell of the student's own")
def default_dtype(s):
    s.extra("torch.set_default_dtype(torch.float64)")
