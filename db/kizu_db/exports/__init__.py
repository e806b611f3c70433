"""Hands the records on to other programs: as tables, and as labelled pictures to train from."""
