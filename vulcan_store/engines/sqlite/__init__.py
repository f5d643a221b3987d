"""SQLite as an engine: a file, or memory."""
