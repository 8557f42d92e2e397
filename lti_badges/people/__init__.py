"""Persons, what they may do, what they agreed to, and everything that is held of them."""
