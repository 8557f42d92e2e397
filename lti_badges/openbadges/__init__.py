"""Open Badges 3.0 (and 2.0) documents: build, sign, verify, bake, status list. No I/O."""
