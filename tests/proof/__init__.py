"""A server under hostile input, long load and faults; `make proof` runs the long versions."""
