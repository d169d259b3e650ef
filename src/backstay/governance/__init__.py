"""What may happen: policy, labels, budgets, approvals and switches, as small functions over facts."""
