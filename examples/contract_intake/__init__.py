"""Contract intake: legal, security and architecture review, board approval, and one signature."""
