"""Shows: the review pages and the reports."""
