"""Looks through a labelled set for what training refuses, and for what would spoil what it learns or measures."""
