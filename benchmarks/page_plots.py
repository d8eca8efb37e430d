"""Pictures of the page; `jnst.plots` makes and saves the figures."""

from page_tables import key_text, limit_rows, series

from jnst.bench.plot import WIDE
from jnst.plots import new_figure, save_figure

OURS, OTHERS, QUOTED = "#1f6fb4", "#d9822b", "#8a8a8a"


def _barh(axes, labels, values, colours, form, **look):
    """Draw horizontal bars from top to bottom with their values beside them."""
    places = range(len(labels))[::-1]
    bars = axes.barh(places, values, color=colours, height=0.7, **look)
    axes.bar_label(bars, [format(v, form) for v in values], padding=3, fontsize=8)
    axes.set_yticks(places, labels, fontsize=8)
    axes.set_ylim(-0.8, len(labels) - 0.2)
    axes.grid(True, axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    return bars


def _subplots(count, height, width=9.0):
    figure = new_figure(width, max(2.2, height))
    return figure, figure.subplots(count, 1, squeeze=False)[:, 0]


def _by_machine(machines, row_height):
    """A figure, and (axes, rows) of each machine's bars, titled."""
    height = sum(0.9 + row_height * len(rows) for rows in machines.values())
    figure, all_axes = _subplots(len(machines), height)
    for axes, machine in zip(all_axes, machines, strict=True):
        axes.set_title(machine, fontsize=9)
    return figure, list(zip(all_axes, machines.values(), strict=True))


def plot_variants(path, latest):
    """Bars of step time for every variant of the latest run of each machine.

    Args:
      path: File to write.
      latest: {machine: rows of its latest run of the suite}.
    """
    figure, parts = _by_machine(latest, 0.26)
    for axes, rows in parts:
        labels = [f"{row['axis']}: {row['text']}" for row in rows]
        values = [row["step_ms"] for row in rows]
        spread = [
            [max(0.0, row["step_ms"] - row["step_ms_p10"]) for row in rows],
            [max(0.0, row["step_ms_p90"] - row["step_ms"]) for row in rows],
        ]
        axis_names = list(dict.fromkeys(row["axis"] for row in rows))
        colours = [f"C{axis_names.index(row['axis'])}" for row in rows]
        error = {"xerr": spread, "error_kw": {"elinewidth": 1}}
        _barh(axes, labels, values, colours, ".4g", **error)
        axes.set(xlabel="ms a step, whiskers from 10 % to 90 %")
        if max(values) > WIDE * min(values):  # else bars are in proportion
            axes.set_xscale("log")
        axes.margins(x=0.12)
    save_figure(figure, path)


def plot_history(path, machines):
    """Lines of step time over runs, for what was measured more than once.

    Args:
      path: File to write.
      machines: {machine: runs}, each of more than one run.
    """
    figure, all_axes = _subplots(len(machines), 3.2 * len(machines))
    for axes, (machine, runs) in zip(all_axes, machines.items(), strict=True):
        columns = list(dict.fromkeys(f"{run.date} {run.commit}" for run in runs))
        for key, values in series(runs).items():
            if len(values) > 1:
                places = [columns.index(c) for c in values]
                axes.plot(places, values.values(), marker="o", label=key_text(key))
        axes.set(ylabel="ms a step")
        axes.set_yscale("log", subs=[2, 5])
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.set_xticks(range(len(columns)), [c.replace(" ", "\n") for c in columns])
        axes.tick_params(axis="x", labelsize=8)
        axes.set_title(machine, fontsize=9)
        axes.grid(True, which="both", alpha=0.3)
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save_figure(figure, path)


def plot_peers(path, peers):
    """Bars of the ratio of times, ours to a peer's, with a line where both are equal.

    Args:
      path: File to write.
      peers: {machine: rows with a peer}, the latest of each kind.
    """
    figure, parts = _by_machine(peers, 0.3)
    for axes, rows in parts:
        labels = [f"{r['peer']}, {r['size_px']} px, {r['dtype']}" for r in rows]
        values = [row["ratio"] for row in rows]
        colours = [OURS if value <= 1 else OTHERS for value in values]
        _barh(axes, labels, values, colours, ".2f")
        axes.axvline(1, color="#333333", linewidth=1)
        axes.set(xlabel="our time / theirs, in turn in one run; below 1 we are faster")
        axes.margins(x=0.1)
    save_figure(figure, path)


def plot_limit(path, latest):
    """Share of the limit over size, a line a type, for each machine.

    Args:
      path: File to write.
      latest: {machine: its latest run of the suite}.
    """
    figure = new_figure(6.5, 3.4)
    axes = figure.subplots()
    for machine, run in latest.items():
        rows = [row for row in limit_rows(run) if row["axis"] == "size"]
        if not rows:  # a part of the suite
            continue
        rows.sort(key=lambda row: row["size_px"])
        sizes, shares = zip(*((r["size_px"], r["of_limit"]) for r in rows), strict=True)
        label = f"{machine} ({rows[0]['limit'].split(',')[0]})"
        axes.plot(sizes, shares, marker="o", label=label)
    axes.axhline(1, color="#333333", linewidth=1)
    ticks = sorted({x for line in axes.lines[:-1] for x in line.get_xdata()})
    axes.set(xscale="log", xlabel="side of the square image, px", ylim=(0, None))
    axes.minorticks_off()
    axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_ylabel("share of the limit")
    axes.grid(True, alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    save_figure(figure, path)


def plot_quoted(path, rows):
    """Points of megapixel-steps a second: ours full, quoted ones empty.

    Args:
      path: File to write.
      rows: From `quoted.quoted_and_ours`; those without a rate are left out.
    """
    rows = [row for row in rows if row["mpx_steps_per_s"]]
    figure, (axes,) = _subplots(1, 0.8 + 0.2 * len(rows))
    labels = []
    looks = {
        False: {"mfc": "white", "mec": QUOTED, "label": "quoted, not measured by us"},
        True: {"color": OURS, "label": "measured by us"},
    }
    for us, look in looks.items():
        found = [n for n, row in enumerate(rows) if (row["by"] != "quoted") == us]
        rates = [rows[n]["mpx_steps_per_s"] for n in found]
        axes.plot(rates, found, "o", **look)
        for n, value in zip(found, rates, strict=True):
            place = {"xytext": (7, 0), "textcoords": "offset points", "va": "center"}
            axes.annotate(format(value, ".2g"), (value, n), fontsize=8, **place)
    for row in rows:
        source = row["source"].split(",")[0]
        words = [row["hardware"], row["image"], row["optimizer"]]
        labels.append(f"{', '.join(words)} ({source})")
    axes.set_yticks(range(len(rows)), labels, fontsize=8)
    axes.set_ylim(len(rows) - 0.3, -0.7)
    axes.set(xscale="log", xlabel="megapixel-steps a second")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(True, alpha=0.3)
    axes.margins(x=0.08)
    axes.legend(loc="upper left", fontsize=8)
    save_figure(figure, path)
