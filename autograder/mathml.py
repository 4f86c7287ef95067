"""TeX formulas as MathML, which browsers show without any script.

latex2mathml reads the TeX; what it gives is written anew, from known elements, known attributes and escaped characters only.
"""
from html import escape, unescape
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element

ELEMENTS = frozenset("math mrow mi mn mo mtext mspace msup msub msubsup munder mover munderover mfrac msqrt mroot mtable mtr mtd mstyle".split())
ATTRIBUTES = frozenset("display mathvariant stretchy fence form columnalign linethickness displaystyle minsize maxsize width scriptlevel".split())
MOST_CHARACTERS = 5000


def mathml(tex: str, display: bool) -> str:
    """One formula (without its dollars) as a `<math>` element. Raises ValueError for what is not known here."""
    if len(tex) > MOST_CHARACTERS:
        raise ValueError("a formula this long is not set")
    try:
        return _written(convert_to_element(tex, display="block" if display else "inline"))
    except Exception as error:                       # whatever a student's TeX does to the converter
        raise ValueError(f"no formula that is known here: {error}") from None


def _written(element: Element) -> str:
    text = unescape(element.text or "")
    if element.tag not in ELEMENTS or text.startswith("\\") or not ATTRIBUTES.issuperset(element.attrib.keys() - {"xmlns"}):
        raise ValueError(f"{element.tag} {text}")
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in element.attrib.items() if name in ATTRIBUTES)
    return f"<{element.tag}{attributes}>{escape(text)}{''.join(map(_written, element))}</{element.tag}>"
