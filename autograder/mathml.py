"""TeX formulas as MathML, which browsers show without any script: what statements of exercises use of TeX, and no more.

Does not define macros and does not load packages. Everything it gives is made here: fixed elements around escaped characters.
"""
import re
import unicodedata
from html import escape

TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.S)
MOST_CHARACTERS, DEEPEST = 5000, 40
OPERATORS = dict(
    ge="≥", geq="≥", le="≤", leq="≤", ne="≠", neq="≠", ll="≪", gg="≫", approx="≈", equiv="≡", sim="∼", simeq="≃", propto="∝", cdot="⋅", times="×",
    div="÷", pm="±", mp="∓", odot="⊙", oplus="⊕", otimes="⊗", circ="∘", ast="∗", star="⋆", to="→", rightarrow="→", mapsto="↦", leftarrow="←", gets="←",
    Rightarrow="⇒", implies="⇒", iff="⇔", Leftrightarrow="⇔", leftrightarrow="↔", notin="∉", subset="⊂", subseteq="⊆", cup="∪", cap="∩",
    setminus="∖", forall="∀", exists="∃", neg="¬", land="∧", lor="∨", wedge="∧", vee="∨", mid="∣", parallel="∥", perp="⊥", colon=":", nabla="∇",
    ldots="…", dots="…", cdots="⋯", vdots="⋮", ddots="⋱", prime="′", bullet="∙", ni="∋", backslash="∖", bmod="mod", **{"in": "∈"})
IDENTIFIERS = dict(infty="∞", partial="∂", ell="ℓ", emptyset="∅", varnothing="∅", hbar="ℏ", varepsilon="ε", epsilon="ϵ", varphi="φ", phi="ϕ", top="⊤",
                   aleph="ℵ", Re="ℜ", Im="ℑ", **{"#": "#", "%": "%", "&": "&", "_": "_", "$": "$"})
FENCES = {"{": "{", "}": "}", "|": "‖", "lvert": "|", "rvert": "|", "vert": "|", "lVert": "‖", "rVert": "‖", "Vert": "‖", "lfloor": "⌊", "rfloor": "⌋",
          "lceil": "⌈", "rceil": "⌉", "langle": "⟨", "rangle": "⟩", "lbrace": "{", "rbrace": "}", "lbrack": "[", "rbrack": "]"}
LARGE = dict(sum="∑", prod="∏", bigcup="⋃", bigcap="⋂", max="max", min="min", lim="lim", argmax="arg max", argmin="arg min", sup="sup", inf="inf")
INTEGRALS = dict(int="∫", oint="∮")
FUNCTIONS = frozenset("log ln exp sin cos tan tanh sinh cosh arctan arg det dim ker gcd Pr deg sgn".split())
SPACES = {",": .17, ":": .22, ">": .22, ";": .28, "!": -.17, " ": .33, "quad": 1, "qquad": 2, "enspace": .5}
ACCENTS = dict(hat="^", widehat="^", bar="¯", overline="¯", tilde="~", widetilde="~", vec="→", dot="˙", ddot="¨", check="ˇ")
LETTERS = dict(mathbf="BOLD", boldsymbol="BOLD", bm="BOLD", mathbb="DOUBLE-STRUCK", mathcal="SCRIPT", mathscr="SCRIPT", mathfrak="FRAKTUR")
WORDS = frozenset("text textrm textbf textit texttt mathrm mathsf mathtt mathit operatorname mbox".split())
SIZES = re.compile(r"(?:big|Big|bigg|Bigg)[lrm]?")
TABLES = {"cases": ("{", ""), "matrix": ("", ""), "pmatrix": ("(", ")"), "bmatrix": ("[", "]"), "vmatrix": ("|", "|"), "aligned": ("", ""),
          "align": ("", ""), "align*": ("", ""), "array": ("", ""), "smallmatrix": ("", "")}
IGNORED = frozenset("displaystyle textstyle limits nolimits nonumber".split())


def mathml(tex: str, display: bool) -> str:
    """One formula (without its dollars) as a `<math>` element. Raises ValueError for what is not known here."""
    if len(tex) > MOST_CHARACTERS:
        raise ValueError("a formula this long is not set")
    parser = _Parser(TOKEN.findall(tex))
    row = parser.row()
    if parser.token is not None:
        raise ValueError(f"{parser.token} without its beginning")
    return f'<math{" display=" + chr(34) + "block" + chr(34) if display else ""}>{row}</math>'


class _Parser:
    """Recursive descent over TeX tokens; every method gives MathML and leaves the position behind what it read."""

    def __init__(self, tokens: list[str]):
        self.tokens, self.at, self.depth = tokens, 0, 0

    @property
    def token(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, wanted: str | None = None) -> str:
        token = self.token
        if token is None or wanted not in (None, token):
            raise ValueError(f"{wanted or 'something'} is missing")
        self.at += 1
        return token

    def skip_space(self):
        while self.token is not None and self.token.isspace():
            self.at += 1

    def row(self, *ends: str) -> str:
        """Everything up to one of `ends`, a closing brace or the end."""
        made = []
        self.skip_space()
        while self.token is not None and self.token not in ("}", "&", r"\\", r"\right", r"\end", *ends):
            made.append(self.scripted())
            self.skip_space()
        return f"<mrow>{''.join(made)}</mrow>"

    def scripted(self) -> str:
        """One atom with its sub- and superscripts."""
        large = (self.token or "")[1:] in LARGE and self.token.startswith("\\")
        base, below, above = "<mrow></mrow>" if self.token in ("^", "_") else self.atom(), None, None
        while True:
            self.skip_space()
            if self.token in (r"\limits", r"\nolimits"):
                self.take()
            elif self.token == "'":
                self.take()
                above = f"{above or ''}<mo>′</mo>"
            elif self.token == "_" and below is None:
                self.take()
                below = self.argument()
            elif self.token == "^" and above is None:
                self.take()
                above = self.argument()
            else:
                break
        above = above and f"<mrow>{above}</mrow>"
        under, over, both = ("munder", "mover", "munderover") if large else ("msub", "msup", "msubsup")
        if below and above:
            return f"<{both}>{base}{below}{above}</{both}>"
        return f"<{under}>{base}{below}</{under}>" if below else f"<{over}>{base}{above}</{over}>" if above else base

    def atom(self) -> str:
        self.depth += 1
        if self.depth > DEEPEST:
            raise ValueError("a formula this deep is not set")
        self.skip_space()
        token = self.take()
        made = self.command(token[1:]) if token.startswith("\\") else self.group() if token == "{" else _plain(token)
        self.depth -= 1
        return made

    def argument(self) -> str:
        """What a script, a fraction or an accent takes: of an unbraced number its first digit."""
        self.skip_space()
        if self.token and self.token[0].isdigit() and len(self.token) > 1:
            self.tokens[self.at:self.at + 1] = [self.token[0], self.token[1:]]
        return self.atom()

    def group(self) -> str:
        made = self.row()
        self.take("}")
        return made

    def command(self, name: str) -> str:
        if name in OPERATORS:
            return f"<mo>{OPERATORS[name]}</mo>"
        if name in IDENTIFIERS:
            return f"<mi>{escape(IDENTIFIERS[name])}</mi>"
        if name in FENCES:
            return _fence(FENCES[name], False)
        if name in LARGE:
            return f'<mo movablelimits="true">{LARGE[name]}</mo>'
        if name in INTEGRALS:
            return f"<mo>{INTEGRALS[name]}</mo>"
        if name in FUNCTIONS:
            return f"<mi>{name}</mi>" if self.token in ("_", "^", "(") else f'<mrow><mi>{name}</mi><mspace width="0.17em"/></mrow>'
        if name in SPACES:
            return f'<mspace width="{SPACES[name]}em"/>'
        if name in ("frac", "tfrac", "dfrac"):
            return f"<mfrac>{self.argument()}{self.argument()}</mfrac>"
        if name == "binom":
            return f'<mrow>{_fence("(", True)}<mfrac linethickness="0">{self.argument()}{self.argument()}</mfrac>{_fence(")", True)}</mrow>'
        if name == "sqrt":
            self.skip_space()
            if self.token != "[":
                return f"<msqrt>{self.argument()}</msqrt>"
            self.take()
            degree = self.row("]")
            self.take("]")
            return f"<mroot>{self.argument()}{degree}</mroot>"
        if name in ACCENTS:
            return f'<mover accent="true">{self.argument()}<mo stretchy="{str(name.startswith(("wide", "over"))).lower()}">{ACCENTS[name]}</mo></mover>'
        if name in WORDS:
            return f"<mtext>{escape(self.words()).replace(' ', chr(160))}</mtext>"
        if name in LETTERS:
            return f"<mi>{''.join(_letter(LETTERS[name], c) for c in self.words())}</mi>"
        if name == "left":
            opening, inside = self.fence(), self.row()
            self.take(r"\right")
            return f"<mrow>{opening}{inside}{self.fence()}</mrow>"
        if SIZES.fullmatch(name):
            return self.fence()
        if name == "begin":
            return self.table(self.words())
        if name in IGNORED:
            return "<mrow></mrow>"
        return f"<mi>{_greek(name)}</mi>"

    def fence(self) -> str:
        """The delimiter that comes next, as tall as what it holds."""
        self.skip_space()
        token = self.take()
        sign = "" if token == "." else FENCES.get(token[1:]) if token.startswith("\\") else token if token in "()[]|/<>" else None
        if sign is None:
            raise ValueError(f"{token} is no delimiter")
        return _fence(sign, True)

    def words(self) -> str:
        """The text of a group, as it stands."""
        self.skip_space()
        if self.token != "{":
            return self.take()
        self.take("{")
        made = ""
        while self.token != "}":
            token = self.take()
            if token.startswith("\\") and token[1:] not in "_%#& " or token in "{$":
                raise ValueError(f"{token} within text")
            made += token.removeprefix("\\")
        self.take("}")
        return made

    def table(self, name: str) -> str:
        if name not in TABLES:
            raise ValueError(f"{name} is no table known here")
        if name == "array":
            self.words()
        left, right = TABLES[name]
        rows = [[self.row()]]
        while self.token in ("&", r"\\"):
            if self.take() == "&":
                rows[-1].append(self.row())
            else:
                rows.append([self.row()])
        self.take(r"\end")
        if self.words() != name:
            raise ValueError(f"{name} does not end")
        cells = "".join("<mtr>" + "".join(f"<mtd>{cell}</mtd>" for cell in row) + "</mtr>" for row in rows)
        return f'<mrow>{_fence(left, True)}<mtable class="{name.rstrip("*")}">{cells}</mtable>{_fence(right, True)}</mrow>'


def _plain(token: str) -> str:
    if token in ("}", "^", "_", "&", "$", "#", "%"):
        raise ValueError(f"{token} where no such sign may stand")
    if token[0].isdigit():
        return f"<mn>{token}</mn>"
    if token == "~":
        return '<mspace width="0.33em"/>'
    if token in "()[]|":
        return _fence(token, False)
    return f"<mi>{escape(token)}</mi>" if token.isalpha() else f"<mo>{escape(token.replace('-', '−').replace('*', '∗'))}</mo>"


def _fence(sign: str, stretchy: bool) -> str:
    return f'<mo stretchy="{str(stretchy).lower()}" lspace="0" rspace="0">{escape(sign)}</mo>' if sign else ""


def _letter(kind: str, letter: str) -> str:
    """A letter of another alphabet; the letter itself where there is none."""
    case = "CAPITAL" if letter.isupper() else "SMALL"
    for name in (f"MATHEMATICAL {kind} {case} {letter.upper()}", f"{kind.replace('FRAKTUR', 'BLACK-LETTER')} {case} {letter.upper()}"):
        try:
            return unicodedata.lookup(name)
        except KeyError:
            pass
    return escape(letter)


def _greek(name: str) -> str:
    form = "CAPITAL" if name[:1].isupper() else "SMALL"
    try:
        return unicodedata.lookup(f"GREEK {form} LETTER {name.upper().replace('LAMBDA', 'LAMDA')}")
    except KeyError:
        raise ValueError(f"\\{name} is not known here") from None
