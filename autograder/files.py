"""Files are written whole or not at all."""
import os
from pathlib import Path


def write_whole(place: Path, content: str | bytes):
    """Write a file so that it is never seen half written, with the folders above it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.new")
    beside.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(beside, place)
