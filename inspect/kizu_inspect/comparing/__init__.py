"""Training several candidates and keeping the one to recommend."""
