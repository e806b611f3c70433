"""Figures of merit: of the classification, and of the explanations."""
