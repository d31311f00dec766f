"""What follows from each fact, by the part of a deal it concerns; ``domain.deal`` puts a fact to its rule.

A rule takes the state and a fact, by whose type ``following`` finds it. It returns the state as it is then and what
happened in words, or raises ``Refused`` with a code, and never changes what it was given.
"""
