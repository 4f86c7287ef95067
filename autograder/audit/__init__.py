"""The author's judge: shows whether an assignment's tests tell right answers from wrong ones. `audit.run` holds its one entry point.

Does not import anything here: the sandbox imports `audit.generic` alone.
"""
