"""Shape the results of the services as the responses of the HTTP contract."""
