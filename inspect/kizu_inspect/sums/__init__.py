"""The sums of quality inspection: pure functions of counts, each figure with its denominator. Importing them needs no torch."""
