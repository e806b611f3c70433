"""Remembers: tables, migrations, repositories and the image store."""
