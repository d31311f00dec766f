"""The desk: where people and programs play rep, warehouse and accounts receivable."""
