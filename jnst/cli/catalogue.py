"""`jnst recipes` and `jnst losses`: what there is, as tables or JSON."""

import importlib.resources
import inspect
import json
from typing import Any

import click

from jnst.cli.own import losses_from


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def recipes(name: str | None, as_json: bool) -> None:
    """List the recipes, or show every field of the recipe NAME."""
    from jnst.base import check_one_of
    from jnst.recipes.settings import record
    from jnst.recipes.table import RECIPES

    if name:
        check_one_of("recipe", name, RECIPES)
    documents = {key: record(recipe) for key, recipe in RECIPES.items()}
    if as_json:
        click.echo(json.dumps(documents[name] if name else documents, indent=2))
    elif name:
        _show_recipe(name, documents[name])
    else:
        _table(
            [
                {"name": key, "source": recipe.run.source, "expect": expected(key)}
                for key, recipe in RECIPES.items()
            ],
            [None, 56, 40],
        )


def _data(name: str) -> dict[str, Any]:
    path = importlib.resources.files("jnst.data") / name
    return json.loads(path.read_text(encoding="utf-8"))


def expected(name: str) -> str:
    """Tell what a recipe gave on the demo pair, from benchmarks/expectations.py."""
    document = _data("expectations.json")
    row = document["recipes"].get(name)
    if row is None:
        return "not measured"
    height, width = row["shape"]
    return (
        f"loss {row['first_loss']:.4g} to {row['last_loss']:.4g} in {row['steps']} "
        f"steps at {width}x{height}, {row['loop_seconds']:g} s on "
        f"{document['device']}, JAX {document['versions']['jax']}, {row['weights']}"
    )


def _table(rows: list[dict[str, Any]], widths: list[int | None]) -> None:
    from tabulate import tabulate

    click.echo(tabulate(rows, headers="keys", maxcolwidths=widths))


def _show_recipe(name: str, document: dict[str, Any]) -> None:
    """Print a recipe's source, and its fields with those that differ marked."""
    from jnst.recipes.recipe import Recipe
    from jnst.recipes.settings import record

    usual = _flat(record(Recipe()))
    flat = _flat(document)
    click.echo(f"{name}\n\n{flat.pop('source')}\n\nExpect: {expected(name)}\n")
    for field, value in flat.items():
        mark = "*" if value != usual.get(field) else " "
        click.echo(f"{mark} {field} = {_text(value)}")
    click.echo("\n* differs from the default of Recipe. Change with --set FIELD=VALUE.")


def _flat(document: dict[str, Any]) -> dict[str, Any]:
    """Return a record by flat names, TERM_FIELD for the fields of terms."""
    flat: dict[str, Any] = {}
    for name, value in document.items():
        if name == "terms":
            for term in value:
                flat |= {
                    f"{term['name']}_{k}": v for k, v in term.items() if k != "name"
                }
        else:
            flat[name] = value
    return flat


def _text(value: Any) -> str:
    if isinstance(value, list | tuple) and value and isinstance(value[0], list | tuple):
        return ",".join(f"{key}={each}" for key, each in value)
    if isinstance(value, list | tuple):
        return ",".join(f"{v:g}" if isinstance(v, float) else str(v) for v in value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def describe_loss(name: str) -> dict[str, Any]:
    """Describe a loss: table, source, cost, options with defaults, and docstring.

    The cost is relative to the Gram matrix at 256 px, as benchmarks/loss_costs.py
    measured it; None for what it has not measured.
    """
    from jnst import losses as tables
    from jnst.losses.rows import RUN_TIME_OPTIONS

    functions = tables.functions_of(name)
    options = {
        key: parameter.default
        for function in functions
        for key, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and key not in RUN_TIME_OPTIONS
    }
    kinds = {
        "style": tables.STYLE_LOSSES,
        "content": tables.CONTENT_LOSSES,
        "image": tables.IMAGE_LOSSES,
    }
    kind = next(kind for kind, table in kinds.items() if name in table)
    row = kinds[kind][name]
    return {
        "name": name,
        "kind": kind,
        "source": row.source,
        "captures": row.captures,
        "cost": _data("loss_costs.json")["losses"].get(name, {}).get("cost"),
        "options": options,
        "reference": inspect.getdoc(functions[-1]) or "",
    }


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@losses_from
def losses(name: str | None, as_json: bool) -> None:
    """List the losses, or show the loss NAME: formula, options, reference."""
    from jnst import losses as tables

    names = [*tables.STYLE_LOSSES, *tables.CONTENT_LOSSES, *tables.IMAGE_LOSSES]
    described = [describe_loss(each) for each in ([name] if name else names)]
    if as_json:
        click.echo(json.dumps(described[0] if name else described, indent=2))
    elif name:
        one = described[0]
        click.echo(f"{name} ({one['kind']} loss)\n{one['source']}\n")
        click.echo(one["reference"])
        for option, default in one["options"].items():
            click.echo(f"\n  --set {one['kind']}_options={option}={default}", nl=False)
        click.echo()
    else:
        keys = ("name", "kind", "captures", "cost", "source")
        rows = [{key: one[key] for key in keys} for one in described]
        for row in rows:
            row["cost"] = "" if row["cost"] is None else f"{row['cost']:.2g}"
        _table(rows, [None, None, 38, None, 44])
        click.echo("\ncost: value and gradient at 256 px over Gram's, without network")
