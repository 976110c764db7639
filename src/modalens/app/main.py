"""The script that Streamlit runs for every visitor and every change."""

from modalens.app.pages import show

show()
