"""The published shape of the Finance entity sets the sandbox serves, as tables (`entities.json`, `enums.json`)."""
