"""The audit log: who did what to which subject, in a chain of hashes that shows later changes."""
