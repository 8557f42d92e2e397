"""Addresses that an LMS or its user's browser calls by LTI."""
