"""Who did what to which subject, in an order that cannot be changed unnoticed."""
