"""Processes that run end to end, offline: each package here is an application a team could start from."""
