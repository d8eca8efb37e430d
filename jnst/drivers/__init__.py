"""From pictures and a recipe to results: thin, on what anybody can use without them."""
