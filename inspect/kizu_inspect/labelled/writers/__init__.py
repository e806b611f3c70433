"""Writes a labelled set in the layouts of other tools."""
