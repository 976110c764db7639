"""The script that Streamlit runs for every visitor and every change."""

from modalens.app.pages import show

if __name__ == "__main__":  # as Streamlit runs it
    show()
