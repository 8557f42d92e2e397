"""What anybody may open: credentials, achievements, issuers, health."""
