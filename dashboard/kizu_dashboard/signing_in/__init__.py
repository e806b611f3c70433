"""Who may come in: passwords, sessions, the gate before every page and picture, and the page where people sign in."""
