"""Chaos: writers that are killed, rowtail that is killed, stopped and paused, limits that
change from run to run; every event once and in order (storm.py)."""
