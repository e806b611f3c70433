"""The sections of the page Admin."""
