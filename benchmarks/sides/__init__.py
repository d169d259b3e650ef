"""One script per contestant: runs in that contestant's environment and prints one JSON line."""
