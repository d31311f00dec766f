"""The pages for people: inbox, deals, one deal, one request for approval. Everything works without JavaScript."""
