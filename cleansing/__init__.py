"""Looks at records of both systems by the million: how good they are, and which of them are the same.

It works on DuckDB relations, one for each entity and side, whatever they come from, and writes to neither system.
"""
