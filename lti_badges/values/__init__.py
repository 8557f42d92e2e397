"""Frozen values that several rooms speak of: scores, people of a course, badges."""
