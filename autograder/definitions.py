"""Which cells only define: functions, imports, plain data. Such a cell can neither crash nor loop, and needs no fork of its own.

Read line by line, not parsed: a parser can be kept busy for minutes. A cell that this takes for more than it is gets its own fork;
one that it is talked into taking for less costs the student who talked, whose whole run then stops with it.
"""
import re

LINE = re.compile(r"""
    \s* | \#.* | [ \t]+\S.* |                                                      # nothing, or what belongs to the line above
    (?: async [ ]+ )? def [ ]+ (?P<function> \w+ ) \( [^()]* \) [ ]* (?: -> [^():]+ )? : .* |
    (?: import | from ) [ ] (?P<imported> [\w., ]+ ) |
    (?P<name> \w+ ) [ ]* = [\w\s.,"'{}\[\]-]+ (?: \#.* )?
""", re.VERBOSE)
WORD = re.compile(r"\w+")


def names_only_defined(source: str) -> set[str] | None:
    """The names that a cell binds, if all its lines define something; None if it may do more."""
    lines = [LINE.fullmatch(line) for line in source.split("\n")]
    if re.search("[\r\f]", source) or re.match(r"\s*[ \t]", source) or not all(lines):         # IPython takes a common indent away
        return None
    bound = set()
    for line in lines:
        bound.update(filter(None, (line["function"], line["name"])), WORD.findall(line["imported"] or ""))
    return bound


class Names:
    """The words of all cells so far: a cell that binds one of these anew would change what they do, so it must not run before their tests."""

    def __init__(self):
        self.seen = set()

    def adds_only(self, source: str) -> bool:
        """Whether a cell only defines names that no cell before it mentions; counts it among those before the next."""
        bound = names_only_defined(source)
        new = bound is not None and not bound & self.seen
        self.seen.update(WORD.findall(source))
        return new
