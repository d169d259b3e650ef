"""Measurements of the AI steps, on data that is generated here: no public set is in this repository."""
