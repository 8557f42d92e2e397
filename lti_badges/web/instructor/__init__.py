"""The instructor's pages: badges and rules, the live preview, learners and why, sources."""

from lti_badges.web.instructor import learners, pages, rules, sources_page
from lti_badges.web.instructor.blueprint import instructor

__all__ = ["instructor", "learners", "pages", "rules", "sources_page"]
