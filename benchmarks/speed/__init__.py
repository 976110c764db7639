"""What the same numbers cost in modalens, in other packages and in loops written by hand: `make bench`."""
