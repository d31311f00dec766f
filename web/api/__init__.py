"""The JSON API under /api/v1: the same reading and deciding as the pages, for programs that act for a person."""
