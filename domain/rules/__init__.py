"""What follows from each fact, by the part of a deal it concerns; ``domain.deal`` puts a fact to its rule.

A rule takes the state and one kind of fact, and returns the state as it is then and what happened in words, or raises
``Refused`` with a code. It never changes what it was given.
"""
