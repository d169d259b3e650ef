"""The store: the journal and its readings on SQLite. All SQL lives in this room."""
