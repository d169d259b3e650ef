"""Evaluations of the agent that looks into exceptions."""
