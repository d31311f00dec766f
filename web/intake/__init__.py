"""Takes in what Dynamics 365 reports and passes it on as signals: quickly, and without waiting for any deal."""
