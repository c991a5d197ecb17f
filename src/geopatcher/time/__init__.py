"""Patches in time, and in space and time: four axes over a series."""
