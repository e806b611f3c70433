"""Judges a picture: arrays and tensors in, values out. Knows no database, no folder watching, no clock."""
