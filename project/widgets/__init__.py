"""What several pages of the app show in the same way: the part that knows Streamlit."""
