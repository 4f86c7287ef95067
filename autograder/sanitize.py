"""Student output made fit for an instructor's browser and terminal: known kinds only, limited, nothing alive in it.

Does not touch markdown cells: their HTML is cleaned where it is made, by `markdown_to_html`.
"""
import base64
import binascii
import re
from html import escape

import bleach
from nbconvert.filters import markdown2html
from nbformat.v4 import new_output

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
IMAGES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


def clean_text(text, limit: int = 64 << 10) -> str:
    """Text without escape sequences, control and direction characters, cut at `limit` characters."""
    text = CONTROL.sub("", text if type(text) is str else "")
    return text if len(text) <= limit else text[:limit] + "\n… cut here: the output was longer"


def clean_outputs(outputs, limit: int, images: int) -> list:
    """What a cell gave, as valid notebook outputs of about `limit` characters of text and of images at most; the unknown is dropped."""
    kept = []
    for output in outputs if type(outputs) is list else []:
        if limit <= 0:
            break
        match output:
            case {"output_type": "stream", "name": "stdout" | "stderr" as name}:
                text = clean_text(output.get("text"), limit)
                kept.append(new_output("stream", name=name, text=text))
            case {"output_type": "display_data" | "execute_result" as kind, "data": dict(given)}:
                text = clean_text(given.get("text/plain"), limit)
                data = {"text/plain": text}
                for mime in IMAGES:
                    image = given.get(mime)
                    if type(image) is str and len(image) <= images and _is_image(image, IMAGES[mime]):
                        data[mime], images = image, images - len(image)
                kept.append(new_output(kind, data=data))
            case {"output_type": "error", "traceback": list(lines)}:
                text = clean_text("".join(line for line in lines if type(line) is str), min(limit, 16 << 10))
                kept.append(new_output("error", ename=clean_text(output.get("ename"), 200), evalue=clean_text(output.get("evalue"), 2000),
                                       traceback=text.split("\n")))
            case _:
                continue
        limit -= len(text) + 1
    return kept


def _is_image(text, start) -> bool:
    try:
        return base64.b64decode(text, validate=True).startswith(start)
    except (binascii.Error, ValueError):
        return False


LONGEST = 20_000
TAGS = frozenset("a b blockquote br code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img li ol p pre span strong sub summary sup "
                 "table tbody td th thead tr u ul".split())
LINKS = {"href": ("https://", "http://", "mailto:", "#"), "src": ("data:image/png;base64,", "data:image/jpeg;base64,")}
MATHJAX = re.compile(r"\\(?=(?:href|unicode|style|class|cssId|require|html|data)\b)")       # commands that make links and styles


def markdown_to_html(source: str) -> str:
    """nbconvert's filter of this name, with nothing alive in what it makes: known tags, links over http(s), images as data.

    Text of more than LONGEST characters is shown as it is: some takes a parser time that grows with its square.
    """
    if len(source) > LONGEST:
        return f"<pre>{escape(source)}</pre>"
    html = MATHJAX.sub(r"\\backslash ", markdown2html(source.replace("attachment:", "")))       # a missing one would stop the page
    return bleach.clean(html, tags=TAGS, attributes=_attribute, protocols={"http", "https", "mailto", "data"}, strip=True)


def _attribute(tag, name, value):
    return name in ("alt", "title") or (name in LINKS and value.strip().lower().startswith(LINKS[name]))
