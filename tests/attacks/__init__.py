"""Hostile submissions against the real first assignment, and honest oddities that must cost nothing."""
