"""`python -m modalens` is the command `modalens`."""

from modalens.cli import main

main()
