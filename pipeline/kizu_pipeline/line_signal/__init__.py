"""OK or NG for each part to the line's control (a PLC), and its triggers."""
