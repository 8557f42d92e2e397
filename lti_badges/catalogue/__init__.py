"""Badges, configured backends and LMS connections, and what is sent for an award."""
