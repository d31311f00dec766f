"""Entra ID of the sandbox: who people and applications are, and the tokens that prove it."""
