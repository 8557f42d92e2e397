"""From what an LMS says to awards that a backend holds: sync, evaluation, delivery, explanation."""
