"""What Dataverse must hold for the product, described once, looked at, and created."""
