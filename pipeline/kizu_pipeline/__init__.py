"""Moves pictures: sources, intake, batching and the service."""
