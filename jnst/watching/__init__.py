"""Who watches a run: each sees its plan, its progress, its result and its end."""
