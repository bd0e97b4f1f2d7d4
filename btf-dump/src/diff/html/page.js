"use strict";
// Data: see the header of html.rs. Names are only ever set as text.
const data = JSON.parse(document.getElementById("data").textContent);
const WHATS = ["added", "removed", "changed", "through"];
const SIGNS = ["+", "\u2212", "~", "="];
const ROW = 26;
const $ = (id) => document.getElementById(id);
const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};
// Items: [file, kind, what, title, is breaking, old size, new size, note, rows].
const items = data.items.map((item, index) => {
  const [file, kind, what, title, breaking, oldSize, newSize, note, rows] = item;
  return { index, file, kind: data.kinds[kind], what, title, breaking, oldSize, newSize, note, rows, lower: title.toLowerCase() };
});
const key = (item) => (data.files.length > 1 ? data.files[item.file] + "/" : "") + item.kind + "/" + item.title;
const state = { kinds: new Set(), whats: new Set(), breaking: false, text: "", shown: items, picked: -1 };

function chip(parent, label, count, toggle) {
  const node = make("button", "chip", label);
  node.type = "button";
  node.setAttribute("aria-pressed", "false");
  node.append(make("span", "", count.toLocaleString()));
  node.onclick = () => {
    const pressed = node.getAttribute("aria-pressed") !== "true";
    node.setAttribute("aria-pressed", String(pressed));
    toggle(pressed);
    filter();
  };
  parent.append(node);
}
const setter = (set, value) => (on) => (on ? set.add(value) : set.delete(value));
const count = (test) => items.reduce((sum, item) => sum + (test(item) ? 1 : 0), 0);

WHATS.forEach((word, what) => {
  const number = count((item) => item.what === what);
  if (number) chip($("whats"), word, number, setter(state.whats, what));
});
const breaking = count((item) => item.breaking);
if (breaking) chip($("whats"), "breaking", breaking, (on) => { state.breaking = on; });
data.kinds.forEach((word) => {
  const number = count((item) => item.kind === word);
  if (number) chip($("kinds"), word, number, setter(state.kinds, word));
});

function filter() {
  const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  state.shown = items.filter((item) =>
    (!state.kinds.size || state.kinds.has(item.kind)) &&
    (!state.whats.size || state.whats.has(item.what)) &&
    (!state.breaking || item.breaking) &&
    words.every((word) => item.lower.includes(word)));
  if (words.length === 1) {
    // What is called just that comes first, then what starts with it.
    const word = words[0];
    const bare = (item) => item.lower.replace(/^(struct|union|enum) /, "");
    const rank = (item) => (bare(item) === word ? 0 : bare(item).startsWith(word) ? 1 : 2);
    const ranks = new Map(state.shown.map((item) => [item, rank(item)]));
    state.shown.sort((a, b) => ranks.get(a) - ranks.get(b) || a.index - b.index);
  }
  state.picked = -1;
  $("list").scrollTop = 0;
  $("count").textContent = state.shown.length.toLocaleString() + " of " + items.length.toLocaleString();
  draw();
}

function draw() {
  const list = $("list"), rows = $("rows");
  rows.style.height = state.shown.length * ROW + "px";
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 8);
  const last = Math.min(state.shown.length, first + Math.ceil(list.clientHeight / ROW) + 16);
  rows.replaceChildren();
  for (let at = first; at < last; at++) {
    const item = state.shown[at];
    const row = make("div", "row " + WHATS[item.what]);
    row.id = "row" + at;
    row.style.top = at * ROW + "px";
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(at === state.picked));
    row.append(make("span", "sign", SIGNS[item.what]), make("span", "name", item.title), make("span", "kind", item.kind));
    row.title = item.title;
    row.onclick = () => pick(at);
    rows.append(row);
  }
}

function pick(at) {
  if (at < 0 || at >= state.shown.length) return;
  state.picked = at;
  const list = $("list"), top = at * ROW;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
  list.setAttribute("aria-activedescendant", "row" + at);
  draw();
  show(state.shown[at]);
  history.replaceState(null, "", "#" + encodeURIComponent(key(state.shown[at])));
}

// A place in bytes, with the bit if that is not the first or the member is a bitfield.
function place(bits, text) {
  if (bits === undefined || bits < 0) return "";
  const isField = /:\d+$/.test(text);
  return isField || bits % 8 ? Math.floor(bits / 8) + ":" + (bits % 8) : String(bits / 8);
}

const bytes = (size) => size.toLocaleString() + (size === 1 ? " byte" : " bytes");

function show(item) {
  const main = $("main");
  main.replaceChildren();
  main.scrollTop = 0;
  main.append(make("h2", "", item.title));
  const note = make("p", "note");
  note.append(make("span", "badge " + WHATS[item.what], WHATS[item.what]));
  if (item.breaking) note.append(make("span", "badge breaking", "breaking"));
  let text = item.kind;
  if (item.oldSize >= 0 && item.newSize >= 0) {
    text += item.oldSize === item.newSize ? ", " + bytes(item.newSize)
      : ", " + item.oldSize.toLocaleString() + " \u2192 " + bytes(item.newSize);
  } else if (Math.max(item.oldSize, item.newSize) >= 0) {
    text += ", " + bytes(Math.max(item.oldSize, item.newSize));
  }
  if (data.files.length > 1) text += " in " + data.files[item.file];
  note.append(text);
  main.append(note);
  if (item.what === 3) main.append(make("p", "", "It says what it said before, and holds " + item.note + ", which has changed."));
  else for (const [sign, line] of item.note || []) {
    main.append(make("pre", sign < 0 ? "was" : sign > 0 ? "is" : "", line));
  }
  if (item.rows && item.rows.length) main.append(...layout(item));
  // What has changed may lie far below.
  const change = main.querySelector("tr.gone, tr.come, tr.moved, tr.swapped, tr.resized");
  if (item.what === 2 && change && change.offsetTop > main.clientHeight - 80) change.scrollIntoView({ block: "center" });
}

// Rows: status, old place, old text, new place, new text, five numbers each; a text of -1 is that of the other side.
const STATUS = ["same", "gone", "come", "moved", "swapped", "resized"];
function layout(item) {
  const isLayout = item.kind !== "enum";
  const table = make("table");
  const head = make("tr");
  const both = item.what === 2;
  const wants = both ? [0, 1] : [item.what === 0 ? 1 : 0];
  for (const side of wants) {
    head.append(make("th", "at", isLayout ? "offset" : ""), make("th", "", both ? (side ? "new" : "old") : "layout"));
  }
  const thead = make("thead");
  thead.append(head);
  const body = make("tbody");
  let same = 0;
  for (let at = 0; at < item.rows.length; at += 5) {
    const [status, oldPlace, oldText, newPlace, newText] = item.rows.slice(at, at + 5);
    const row = make("tr", both ? STATUS[status] : "moved0 swapped");
    if (!status) same++;
    const texts = [status === 2 ? "" : data.strings[oldText], status === 1 ? "" : data.strings[newText < 0 ? oldText : newText]];
    const places = [oldPlace, newPlace];
    for (const side of wants) {
      const cell = make("td", both && status === 4 ? (side ? "is" : "was") : "", texts[side]);
      row.append(make("td", "at", isLayout && texts[side] ? place(places[side], texts[side]) : ""), cell);
    }
    body.append(row);
  }
  table.append(thead, body);
  if (!both || !same) return [table];
  const label = make("label", "same");
  const box = make("input");
  box.type = "checkbox";
  box.checked = !hidesSame;
  const apply = () => table.classList.toggle("hides", hidesSame);
  box.onchange = () => { hidesSame = !box.checked; apply(); };
  apply();
  label.append(box, "show the " + same + " that are the same");
  return [label, table];
}
let hidesSame = false;

$("search").oninput = (event) => { state.text = event.target.value; filter(); };
$("list").onscroll = () => requestAnimationFrame(draw);
window.onresize = draw;
document.onkeydown = (event) => {
  const inSearch = document.activeElement === $("search");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const page = Math.max(1, Math.floor($("list").clientHeight / ROW) - 1);
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
  if (!inSearch) Object.assign(steps, { j: 1, k: -1 });
  if (document.activeElement === $("main") && event.key.startsWith("Page")) return;
  if (event.key in steps) {
    const to = state.picked + steps[event.key];
    pick(Math.min(state.shown.length - 1, Math.max(0, to)));
  } else if (event.key === "Enter" && inSearch) {
    pick(Math.max(0, state.picked));
  } else if (event.key === "/" && !inSearch) {
    $("search").focus();
    $("search").select();
  } else if (event.key === "Escape" && inSearch) {
    $("search").value = state.text = "";
    filter();
    $("list").focus();
  } else return;
  event.preventDefault();
};
function open() {
  const wanted = decodeURIComponent(location.hash.slice(1));
  const at = wanted ? state.shown.findIndex((item) => key(item) === wanted) : -1;
  if (at >= 0) pick(at);
}
window.onhashchange = open;
filter();
open();
