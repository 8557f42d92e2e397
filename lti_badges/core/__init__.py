"""What everybody may use: time, errors, sealing, the HTTP client, addresses, logs."""
