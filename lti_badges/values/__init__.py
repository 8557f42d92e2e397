"""Frozen values that several folders speak of: scores, people of a course, badges."""
