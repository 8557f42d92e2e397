"""Ratios against floors and peers, measured beside each other: `make bench`."""
