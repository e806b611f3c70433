"""What the line tells of itself while it runs: its state, its metrics, and the pages that programs ask."""
