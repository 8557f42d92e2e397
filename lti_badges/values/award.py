"""Who may see a badge's page: nobody else, whoever has the link, or everybody (findable)."""

HIDDEN, LINK, PUBLIC = "hidden", "link", "public"
