"""Patches put together: rows, weights, and nothing of patchers."""
