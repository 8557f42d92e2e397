"""`python -m lti_badges`."""

from lti_badges.cli import main

if __name__ == "__main__":
    main()
