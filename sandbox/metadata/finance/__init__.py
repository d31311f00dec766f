"""The published shape of the Finance entity sets the sandbox serves, as compact tables (`entities.json`, `enums.json`)."""
