"""Pixels of files: opened in one place, read onto one grid, merged by one rule."""
