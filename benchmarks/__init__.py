"""Ratios against floors, measured in one run: `make bench`."""
