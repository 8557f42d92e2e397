"""What an LMS tells of a course: readings, the stored snapshot, schedule, pushes, copies."""
