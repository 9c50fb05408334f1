"""Trains the embedding network in PyTorch and exports it for `app`, which never imports this package."""
