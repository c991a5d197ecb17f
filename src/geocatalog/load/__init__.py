"""Loaders: pixels and labels for a slice, from the files of a catalog."""
