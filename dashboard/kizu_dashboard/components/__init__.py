"""What Streamlit has no widget for: components of inline HTML, CSS and JavaScript, without a build step."""
