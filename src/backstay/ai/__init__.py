"""AI inside the guardrails: models, agents and their loop. Nothing here knows the engine."""
