"""lti-badges: an LTI 1.3 tool that awards Open Badges from inside any LMS."""
