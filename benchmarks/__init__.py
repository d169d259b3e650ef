"""Measurements of Backstay against its targets and its neighbours. Nothing here is imported by the package."""
