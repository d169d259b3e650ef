"""The engine: pure replay, the runner that makes commands happen, the one door out and the one way in."""
