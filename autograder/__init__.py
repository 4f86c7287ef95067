"""Featherweight's grading kit. Test cells import `Exam`, `case`, `edge`, `observe`, `seed` and `callback` from here."""
from .checks import Exam, callback, case, edge, observe, seed

__all__ = ["Exam", "callback", "case", "edge", "observe", "seed"]
