"""What the pages of the app show, computed and drawn without Streamlit, so that a script can use it too."""
