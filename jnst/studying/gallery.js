"use strict";
// Which budget is shown, which rows come first, how large pictures are. The page is
// whole without this: then all budgets are shown, in the order they were made.
const body = document.querySelector("#pairs tbody");
const budget = document.querySelector("#budget");
const side = document.querySelector("#side");
const told = document.querySelector("#told");
const rows = Array.from(body.rows);
let sorted = null; // {column, metric, up}

function scoreOf(row) {
  const cell = row.cells[sorted.column];
  const shown = Array.from(cell.querySelectorAll("figure")).find((f) => !f.hidden);
  const button = shown && shown.querySelector(`button[data-metric="${sorted.metric}"]`);
  return button && button.dataset.score !== "" ? Number(button.dataset.score) : NaN;
}

function sort() {
  if (sorted === null) return;
  const scores = new Map(rows.map((row) => [row, scoreOf(row)]));
  const order = [...rows].sort((a, b) => {
    const [x, y] = [scores.get(a), scores.get(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return sorted.up ? x - y : y - x;
  });
  body.append(...order);
  for (const button of body.querySelectorAll("button.score")) {
    const same = button.dataset.metric === sorted.metric;
    const column = button.closest("td").cellIndex === sorted.column;
    button.setAttribute("aria-pressed", String(same && column));
  }
  const head = document.querySelector("#pairs thead").rows[0].cells[sorted.column];
  const way = sorted.up ? "lowest" : "highest";
  told.textContent = `Sorted by ${sorted.metric} of ${head.textContent}, ${way} first.`;
}

function show() {
  for (const figure of document.querySelectorAll("figure[data-budget]")) {
    figure.hidden = budget !== null && figure.dataset.budget !== budget.value;
  }
  sort();
}

body.addEventListener("click", (event) => {
  const button = event.target.closest("button.score");
  if (button === null) return;
  const column = button.closest("td").cellIndex;
  const metric = button.dataset.metric;
  const again = sorted !== null && sorted.column === column && sorted.metric === metric;
  const up = again ? !sorted.up : button.dataset.better === "lower";
  sorted = { column, metric, up };
  sort();
  button.focus({ preventScroll: true }); // which moving its row took from it
});
side.addEventListener("input", () => {
  document.documentElement.style.setProperty("--side", `${side.value}px`);
});
if (budget !== null) budget.addEventListener("change", show);
document.querySelector(".controls").hidden = false;
show();
