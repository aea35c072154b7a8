"""Stepping through time."""
