"""Backups of the records, and of the pictures that they name: a folder that is there whole or not at all."""
