"use strict";
// Everything here is an extra: without it the page is complete, in the order of the recipe.

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

// Light and dark

const root = document.documentElement;
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const kept = {
  get: () => { try { return localStorage.getItem("robustmeta-theme"); } catch { return null; } },
  set: (theme) => { try { localStorage.setItem("robustmeta-theme", theme); } catch { /* then only for this visit */ } },
};
const isDark = () => (root.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark";
const toggle = make("button", { type: "button", id: "theme" });
const name = () => { toggle.textContent = isDark() ? "Light" : "Dark"; toggle.ariaLabel = `${toggle.textContent} colours`; };
if (kept.get()) root.dataset.theme = kept.get();
toggle.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; kept.set(root.dataset.theme); name(); });
prefersDark.addEventListener("change", name);
document.querySelector(".bar").append(toggle);
name();

// Sorting, in every table: a number's larger end first, ranks and names from the top, a third time as it was

const columnOf = (table, i) => [...table.tBodies[0].rows].map((row) => row.cells[i]);
const isMissing = (cell) => cell.textContent.trim() === "-" || cell.textContent.trim() === "";

function sort(table, head, first) {
  const i = head.cellIndex, numeric = head.classList.contains("num");
  const orders = [first, first === "ascending" ? "descending" : "ascending", null];
  const order = orders[(orders.indexOf(head.getAttribute("aria-sort")) + 1) % 3];
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  if (order) head.setAttribute("aria-sort", order);
  const rank = (a, b) => numeric
    ? Number(a.dataset.value) - Number(b.dataset.value)
    : a.textContent.localeCompare(b.textContent, undefined, { numeric: true });
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    if (!order) return a.dataset.at - b.dataset.at;
    const [one, two] = [a.cells[i], b.cells[i]];
    if (isMissing(one) || isMissing(two)) return isMissing(one) - isMissing(two) || a.dataset.at - b.dataset.at;
    return (order === "ascending" ? rank(one, two) : rank(two, one)) || a.dataset.at - b.dataset.at;
  });
  table.tBodies[0].append(...rows);
  return order ? `sorted by ${head.textContent}, ${order}` : "in the order of the recipe";
}

for (const table of document.querySelectorAll("table")) {
  if (table.tBodies[0].rows.length < 2) continue;
  [...table.tBodies[0].rows].forEach((row, at) => { row.dataset.at = at; });
  for (const head of table.tHead.rows[0].cells) {
    const button = make("button", { type: "button" }, head.textContent);
    const first = head.classList.contains("num") && head.textContent !== "rank" ? "descending" : "ascending";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const said = sort(table, head, first);
      const output = table.closest(".chosen")?.querySelector("output");
      if (output) output.value = said;
    });
  }
}

// Choosing rows and columns of the comparison

function menu(title, names, changed) {
  const boxes = names.map((text) => make("input", { type: "checkbox", checked: true, value: text }));
  const all = make("input", { type: "checkbox", checked: true });
  const labels = boxes.map((box) => make("label", {}, box, box.value));
  const panel = make("div", {}, make("label", {}, all, make("em", {}, "all")), ...labels);
  const details = make("details", { className: "menu" }, make("summary", {}, title), panel);
  const refresh = () => {
    const some = boxes.filter((box) => box.checked).length;
    all.checked = some === boxes.length;
    all.indeterminate = some > 0 && some < boxes.length;
    changed();
  };
  all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; refresh(); });
  for (const box of boxes) box.addEventListener("change", refresh);
  return { details, has: (text) => boxes.some((box) => box.value === text && box.checked) };
}

for (const chosen of document.querySelectorAll(".chosen")) {
  const table = chosen.querySelector("table"), rows = [...table.tBodies[0].rows];
  if (rows.length < 2) continue;
  const who = JSON.parse(chosen.dataset.who), heads = [...table.tHead.rows[0].cells];
  const search = make("input", { type: "search", placeholder: "Filter rows", ariaLabel: "Filter rows by their text" });
  const output = make("output");
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/);
    rows.forEach((row) => {
      const text = row.textContent.toLowerCase(), at = row.dataset.at;
      row.hidden = !(words.every((word) => text.includes(word)) && learners.has(who.learner[at]) && defenses.has(who.defense[at]));
    });
    const shown = rows.filter((row) => !row.hidden).length;
    output.value = shown === rows.length ? `${shown} rows` : `${shown} of ${rows.length} rows`;
  };
  const hide = () => heads.slice(1).forEach((head) => {
    const off = !columns.has(head.textContent), i = head.cellIndex;
    for (const part of [head, table.querySelectorAll("col")[i], ...columnOf(table, i)]) part.hidden = off;
  });
  const learners = menu("Learners", [...new Set(who.learner)], filter);
  const defenses = menu("Defenses", [...new Set(who.defense)], filter);
  const columns = menu("Columns", heads.slice(1).map((head) => head.textContent), hide);
  const menus = [learners, defenses, columns].map((each) => each.details);
  const tools = make("div", { className: "tools" }, search, ...menus, output);
  tools.addEventListener("keydown", (event) => {
    const open = menus.find((each) => each.open);
    if (event.key === "Escape" && open) { open.open = false; open.firstChild.focus(); }
  });
  document.addEventListener("click", (event) => menus.forEach((each) => { each.open &&= each.contains(event.target); }));
  search.addEventListener("input", filter);
  chosen.prepend(tools);
  filter();
}

// Copying, and an explanation that a link leads to is opened

for (const block of document.querySelectorAll("pre.copied")) {
  const text = block.textContent, button = make("button", { type: "button", className: "copy" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(block.querySelector("code"));
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  block.prepend(button);
}
const open = () => { const at = document.getElementById(location.hash.slice(1)); if (at?.tagName === "DETAILS") at.open = true; };
addEventListener("hashchange", open);
open();
