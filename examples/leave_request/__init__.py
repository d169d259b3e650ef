"""Leave requests: rules, the line manager, HR for long leave, and one booking in the HR system."""
