"""What follows from what an LMS told: facts, judgements, decisions, the guard, awards by hand."""
