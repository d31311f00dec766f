"""Telling people: the targets that are configured, what a message looks like, and how it is sent."""
