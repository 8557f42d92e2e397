"""What courses, awarding and delivery share: award states, audit trail, leases, rules in force."""
