"""One file a version of the database, named v<number>_<subject>.py. A released one never changes."""
