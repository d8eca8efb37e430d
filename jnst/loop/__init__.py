"""From an objective to a picture: optimisers, the step, sizes, the loop."""
