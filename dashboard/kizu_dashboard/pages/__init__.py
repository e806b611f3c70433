"""The pages: each fetches, calls a function, draws. `main.py` is what Streamlit runs; it lists the others."""
