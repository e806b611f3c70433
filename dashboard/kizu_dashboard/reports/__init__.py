"""Defect reports: the flagged parts of a period as CSV and PDF."""
