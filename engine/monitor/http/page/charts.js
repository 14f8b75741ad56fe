// The charts of an hour, a day or a month, drawn as SVG from /history. Uses what page.js declares.
"use strict";

let drawn = null;  // the newest /history

const SPANS = { hour: 3600, day: 86400, month: 30 * 86400 };
const PIECES = 60;  // bars of a span

function drawCharts(past, span) {
  drawn = past;
  const grid = byId("charts"), columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
  PLOT.width = Math.max(240, Math.floor((grid.clientWidth - 10 * (columns - 1)) / columns) - 30);
  const all = Object.keys(past.devices);
  const order = (shown?.devices ?? []).map((device) => device.name);
  const lines = (field) => all.map((name) => ({
    name, values: past.devices[name][field], colour: colour(Math.max(0, order.indexOf(name))),
  })).filter((line) => line.values.some((value) => value !== null));
  const end = past.at.at(-1) ?? 0;
  const length = Math.min(SPANS[span], Math.max(PIECES * past.step / 6, end - (past.at[0] ?? end) + past.step));
  const axis = { at: past.at, end, length };
  const charts = [
    chart(TEXTS.rate, "", axis, lines("tops"), (value) => (value ? rate(value) : "0")),
    chart(TEXTS.temperature, "°C", axis, lines("temperature"), (value) => fixed(value)),
    chart(TEXTS.power, inUnit("watts", "").trim(), axis, lines("power"), (value) => fixed(value)),
    chart(TEXTS.per_joule, "", axis, efficiency(past, lines("power")), short),
    bars(TEXTS.confirmed, axis, past.confirmed),
  ].filter(Boolean);
  byId("charts").replaceChildren(...charts);
}

// Tasks a joule, from each step's tasks and mean power.
function efficiency(past, powers) {
  return powers.map((line) => ({
    ...line,
    values: line.values.map((watts, index) => {
      const tasks = past.devices[line.name].tasks[index];
      return watts > 0 && tasks > 0 ? tasks / (watts * past.step) : null;
    }),
  })).filter((line) => line.values.some((value) => value !== null));
}

function svg(tag, attributes, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
}

const PLOT = { width: 0, height: 150, left: 66, right: 8, top: 8, bottom: 20 };

function frame(most, format, axis) {
  const root = svg("svg", { viewBox: `0 0 ${PLOT.width} ${PLOT.height}`, role: "img" });
  const y = (value) => PLOT.height - PLOT.bottom - (value / most) * (PLOT.height - PLOT.top - PLOT.bottom);
  const x = (ago) => PLOT.width - PLOT.right - (ago / axis.length) * (PLOT.width - PLOT.left - PLOT.right);
  for (const part of [0, 0.5, 1]) {
    root.append(svg("line", { class: "grid", x1: PLOT.left, x2: PLOT.width - PLOT.right, y1: y(part * most), y2: y(part * most) }));
    root.append(svg("text", { x: PLOT.left - 6, y: y(part * most) + 4, "text-anchor": "end" }, format(part * most)));
  }
  const ticks = PLOT.width < 400 ? 2 : 4;
  for (let tick = 0; tick <= ticks; tick++) {
    const ago = axis.length * tick / ticks;
    const anchor = tick === ticks ? "start" : tick === 0 ? "end" : "middle";
    root.append(svg("text", { x: x(ago), y: PLOT.height - 4, "text-anchor": anchor }, tick ? `−${roughly(ago)}` : TEXTS.now));
  }
  return { root, x, y };
}

function roughly(seconds) {
  const [unit, size] = [["d", 86400], ["h", 3600], ["min", 60]].find(([, size]) => seconds >= 2 * size) ?? ["s", 1];
  return `${fixed(seconds / size, seconds < 10 * size && seconds % size ? 1 : 0)} ${TEXTS[unit]}`;
}

function roundUp(value) {
  if (!(value > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 4, 5, 8, 10].map((step) => step * unit).find((step) => step >= value * 0.9999);
}

function evenUp(count) {
  const most = Math.max(2, roundUp(count));
  return most % 2 ? most + 1 : most;
}

function chart(title, unit, axis, lines, format) {
  if (!lines.length) return null;
  const values = lines.flatMap((line) => line.values.filter((value) => value !== null));
  const most = roundUp(Math.max(...values));
  const { root, x, y } = frame(most, (value) => format(value), axis);
  const { at, end } = axis;
  const bridge = Math.max(60, 2.5 * drawn.step, 3 * (shown?.chain.block_time ?? 0));  // a longer silence is a gap
  for (const line of lines) {
    let path = "", before = null;
    line.values.forEach((value, index) => {
      if (value === null) return;
      const joined = before !== null && at[index] - before <= bridge;
      path += `${joined ? "L" : "M"}${x(end - at[index]).toFixed(1)} ${y(value).toFixed(1)}`;
      if (!joined) path += "h0.01";  // a value alone is a dot
      before = at[index];
    });
    const trace = svg("path", { class: "series", d: path });
    trace.style.stroke = line.colour;
    root.append(trace);
  }
  const newest = lines.map((line) => format(line.values.findLast((value) => value !== null))).slice(0, 3).join(" · ");
  root.setAttribute("aria-label", `${title}: ${newest} ${unit}`);
  const readout = make("output", "", `${newest} ${unit}`);
  const box = make("div", "card chart", make("h3", "", title, readout), root);
  if (lines.length > 1) box.append(make("div", "legend", ...lines.map((line) => labelled(line.colour, line.name))));
  followPointer(root, at, lines, x, (index) => {
    readout.textContent = index === null ? `${newest} ${unit}`
      : `${moment(at[index])}  ${lines.map((line) => (line.values[index] === null ? NOTHING : format(line.values[index]))).slice(0, 4).join(" · ")} ${unit}`;
  });
  return box;
}

function followPointer(root, at, lines, x, tell) {
  const cursor = svg("line", { class: "cursor", y1: PLOT.top, y2: PLOT.height - PLOT.bottom, visibility: "hidden" });
  root.append(cursor);
  root.addEventListener("pointermove", (event) => {
    const box = root.getBoundingClientRect();
    const wanted = ((event.clientX - box.left) / box.width) * PLOT.width;
    let best = 0;
    at.forEach((time, index) => {
      if (Math.abs(x(at.at(-1) - time) - wanted) < Math.abs(x(at.at(-1) - at[best]) - wanted)) best = index;
    });
    const place = x(at.at(-1) - at[best]);
    for (const name of ["x1", "x2"]) cursor.setAttribute(name, place);
    cursor.setAttribute("visibility", "visible");
    tell(best);
  });
  root.addEventListener("pointerleave", () => { cursor.setAttribute("visibility", "hidden"); tell(null); });
}

function moment(at) {
  const options = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false };
  return drawn.step <= 10 ? clock(at) : new Date(1000 * at).toLocaleString(document.documentElement.lang, options);
}

function bars(title, axis, confirmed) {
  const counts = new Array(PIECES).fill(0), piece = axis.length / PIECES;
  axis.at.forEach((at, index) => {
    const ago = Math.floor((axis.end - at) / piece);
    if (ago < PIECES) counts[PIECES - 1 - ago] += confirmed[index];
  });
  const total = counts.reduce((a, b) => a + b);
  const { root, x, y } = frame(evenUp(Math.max(...counts)), (value) => `${value}`, axis);
  const width = (x(0) - x(axis.length)) / counts.length;
  counts.forEach((count, index) => {
    if (!count) return;
    const bar = svg("rect", { class: "bar", x: x(axis.length) + index * width + 1, width: Math.max(1, width - 2), y: y(count), height: y(0) - y(count), rx: 1 });
    bar.style.fill = colour(0);
    root.append(bar);
  });
  const text = TEXTS.in_all.replace("{n}", total);
  root.setAttribute("aria-label", `${title}: ${text}`);
  return make("div", "card chart", make("h3", "", title, make("output", "", text)), root);
}
