"""The classifier: input profile, backbones, heads, and what one forward pass leaves."""
