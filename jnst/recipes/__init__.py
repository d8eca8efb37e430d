"""Recipes: the one configuration of a run, and the published methods as such."""

from jnst.recipes.recipe import Recipe as Recipe
from jnst.recipes.table import RECIPES as RECIPES
