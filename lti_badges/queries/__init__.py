"""What pages, exports and commands show, read from the database."""
