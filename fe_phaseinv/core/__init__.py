"""Refusals of bad input, ranks, nodes of a space, and the version: what every room may need."""
