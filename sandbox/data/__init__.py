"""What the sandbox holds at start: the sample companies, or Northwind's tables."""
