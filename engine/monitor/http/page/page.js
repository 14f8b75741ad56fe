// The live view in a browser. Asks for /status every two seconds and /history every ten, and draws both.
"use strict";

const TEXTS = JSON.parse(document.body.dataset.texts);
const HOUR = 3600;
const NOTHING = "–";
const TONES = { mining: "good", working: "good", waiting: "warn", degraded: "warn", busy: "good", idle: "good", paused: "warn", backoff: "warn", out: "bad" };
const EVENT_TONES = {
  confirmed: "good", given_up: "warn", skipped: "warn", gap: "warn", rolled_back: "warn", paused: "warn",
  warning: "warn", card_fault: "bad", child_killed: "bad", child_ended: "bad", out_of_service: "bad",
  trouble: "bad", trouble_over: "good",
};
const byId = (id) => document.getElementById(id);
let shown = null;  // the newest /status

// Requests

function token() {
  const fromLink = new URLSearchParams(location.hash.slice(1)).get("token");
  if (fromLink) {
    localStorage.setItem("token", fromLink);
    history.replaceState(null, "", location.pathname);
  }
  return localStorage.getItem("token");
}

async function ask(path, method = "GET") {
  const headers = { "X-CPC-Engine": "1" };
  const known = token();
  if (known) headers.Authorization = `Bearer ${known}`;
  const answer = await fetch(path, { method, headers, cache: "no-store", signal: AbortSignal.timeout(8000) });
  byId("login").hidden = answer.status !== 401;
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}

async function order(path) {
  for (const name of ["pause", "resume"]) byId(name).disabled = true;
  try {
    await ask(path, "POST");
  } finally {
    setTimeout(look, 400);
    setTimeout(() => { for (const name of ["pause", "resume"]) byId(name).disabled = false; }, 800);
  }
}

async function look() {
  try {
    shown = await ask("status");
    show(shown);
  } catch (error) {
    lost(error);
  }
}

async function lookBack() {
  try {
    drawCharts(await ask("history"));
  } catch { /* `look` reports it */ }
}

// Status

function make(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

const seconds = (value) => (value < 1 ? `${(1000 * value).toFixed(0)} ms` : `${value.toFixed(1)} s`);
const clock = (at) => new Date(1000 * at).toLocaleTimeString(document.documentElement.lang, { hour12: false });
const sub = (text) => (text ? make("span", "sub", text) : "");
const colour = (index) => `var(--s${index % 8})`;

function duration(value) {
  const whole = Math.max(0, Math.floor(value));
  const days = Math.floor(whole / 86400), hours = Math.floor(whole / 3600) % 24;
  const minutes = Math.floor(whole / 60) % 60;
  if (days) return `${days} ${TEXTS.d} ${hours} ${TEXTS.h}`;
  if (hours) return `${hours} ${TEXTS.h} ${minutes} ${TEXTS.min}`;
  if (minutes) return `${minutes} ${TEXTS.min} ${whole % 60} ${TEXTS.s}`;
  return `${whole} ${TEXTS.s}`;
}

function rate(tops) {
  if (tops === null) return NOTHING;
  const [unit, factor] = [["TOPS", 1], ["GOPS", 1e3], ["MOPS", 1e6]].find(([, factor]) => tops * factor >= 1) ?? ["MOPS", 1e6];
  const value = tops * factor;
  return `${value >= 100 ? value.toFixed(0) : Number(value.toPrecision(3))} ${unit}`;
}

function money(cpc, most = 11) {
  if (cpc === null) return NOTHING;
  const [whole, decimals = ""] = cpc.split(".");
  return decimals.length > most ? `${whole}.${decimals.slice(0, most)}…` : cpc;
}

function sum(devices) {
  const rates = devices.map((device) => device.tops).filter((tops) => tops !== null);
  return rates.length ? rates.reduce((a, b) => a + b) : null;
}

function show(seen) {
  badge(seen.state, TONES[seen.state] ?? "warn");
  byId("who").textContent = `${seen.address} · ${TEXTS.up.replace("{time}", duration(seen.now - seen.started_at))}`;
  byId("who").title = seen.address;
  byId("pause").hidden = seen.state === "stopping" || seen.pause_asked;
  byId("resume").hidden = !seen.pause_asked;
  troubles([
    [seen.paused && `${TEXTS.paused}: ${seen.paused}`, "warn"],
    ...[...seen.troubles].sort((a, b) => b.stops - a.stops).map(troubleRow),
  ]);
  figures(seen);
  devices(seen.devices);
  byId("events").replaceChildren(...seen.events.slice(-20).reverse().map(eventRow));
  byId("about").textContent = `cpc-engine ${seen.version} · ${seen.chain.chain_id} · ${seen.chain.node}`;
  document.title = `${TEXTS.states[seen.state]} · cpc-engine`;
}

function badge(state, tone) {
  byId("state").textContent = TEXTS.states[state] ?? state;
  byId("state").className = `state ${tone}`;
}

function lost(error) {
  badge("lost", "bad");
  if (error.message !== "401") troubles([[TEXTS.lost, "bad"]]);
}

function troubles(list) {
  const wanted = list.filter(([text]) => text);
  const box = byId("troubles");
  if (box.textContent === wanted.map(([text]) => text).join("")) return;  // not read out again
  box.replaceChildren(...wanted.map(([text, tone]) => make("p", tone, text)));
}

function troubleRow(trouble) {
  const since = TEXTS.since.replace("{time}", () => clock(trouble.since)).replace("{message}", () => trouble.message);
  return [trouble.advice ? `${since}. ${trouble.advice}` : since, trouble.stops ? "bad" : "warn"];
}

function figures(seen) {
  const chain = seen.chain, results = seen.results, blocks = seen.blocks;
  const next = chain.next_block_in === null ? "" : `${TEXTS.next_block} ${chain.next_block_in.toFixed(0)} ${TEXTS.s}`;
  const bar = document.createElement("progress");
  bar.max = chain.block_time ?? 1;
  bar.value = chain.next_block_in === null ? 0 : bar.max - chain.next_block_in;
  bar.setAttribute("aria-label", TEXTS.next_block);
  const skipped = TEXTS.blocks.replace("{skipped}", blocks.skipped).replace("{missed}", blocks.missed);
  if (seen.jobs.validators.length) return jobFigures(seen);
  byId("figures").replaceChildren(
    card(TEXTS.rate, rate(sum(seen.devices)), "", TEXTS.tasks.replace("{n}", seen.run.computed)),
    card(TEXTS.confirmed, results.confirmed, "", TEXTS.pending.replace("{n}", results.pending)),
    card(TEXTS.given_up, results.given_up, "", skipped),
    card(TEXTS.height, chain.height ?? NOTHING, "", next, bar),
    card(TEXTS.balance, money(seen.balance, 6), "CPC", `${TEXTS.fees} ${money(seen.fees)}`),
  );
}

function jobFigures(seen) {
  const jobs = seen.jobs;
  byId("figures").replaceChildren(
    card(TEXTS.rate, rate(sum(seen.devices)), "", TEXTS.tasks.replace("{n}", jobs.computed)),
    card(TEXTS.taken, jobs.taken, "", TEXTS.declined.replace("{n}", jobs.declined)),
    card(TEXTS.accepted, jobs.accepted, "", TEXTS.rejected.replace("{n}", jobs.rejected)),
    card(TEXTS.validators, jobs.validators.length, "", jobs.validators.join(", ")),
  );
}

function card(name, value, unit, more, ...rest) {
  const number = make("div", "value", `${value}`);
  if (unit) number.append(" ", make("span", "unit", unit));
  return make("div", "card", make("div", "name", name), number, make("div", "more", more), ...rest);
}

function devices(list) {
  if (!list.length) return byId("devices").replaceChildren(make("p", "empty", TEXTS.none));
  const names = TEXTS.columns;
  const head = make("thead", "", make("tr", "", ...names.map((name) => make("th", "", name))));
  const body = make("tbody", "", ...list.map((device, index) => deviceRow(device, index, names)));
  byId("devices").replaceChildren(make("table", "", head, body));
}

function labelled(colour, name) {
  const dot = make("span", "dot");
  dot.style.color = colour;
  return make("span", "", dot, name);
}

function deviceRow(device, index, names) {
  const name = make("td", "name", labelled(colour(index), device.name));
  const state = make("td", TONES[device.state] ?? "warn", make("span", "", TEXTS.states[device.state], sub(device.reason)));
  if (device.card) name.firstChild.append(sub(device.card));
  const gib = (bytes) => (bytes / 2 ** 30).toFixed(1);
  const memory = device.memory_used === null ? NOTHING
    : `${gib(device.memory_used)}${device.memory_total ? ` / ${gib(device.memory_total)}` : ""} GiB`;
  const last = device.last_result === null ? NOTHING
    : `${device.last_height} · ${device.last_result.slice(0, 8)} · ${seconds(device.last_seconds)}`;
  const cells = [
    rate(device.tops), `${device.tasks}`,
    device.temperature === null ? NOTHING : `${device.temperature.toFixed(0)} °C`,
    device.power === null ? NOTHING : `${device.power.toFixed(0)} W`, memory, last,
  ].map((text, at) => {
    const cell = make("td", at > 3 ? "wide" : "", text);
    cell.dataset.name = names[at + 2];
    return cell;
  });
  return make("tr", "", name, state, ...cells);
}

function eventRow(event) {
  return make("li", "", make("time", "", clock(event.at)), make("span", EVENT_TONES[event.event] ?? "", event.line));
}

// Charts

let drawn = null;  // the newest /history

function drawCharts(hour) {
  drawn = hour;
  const grid = byId("charts"), columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
  PLOT.width = Math.max(240, Math.floor((grid.clientWidth - 10 * (columns - 1)) / columns) - 30);
  const all = Object.keys(hour.devices);
  const order = (shown?.devices ?? []).map((device) => device.name);
  const lines = (field) => all.map((name) => ({
    name, values: hour.devices[name][field], colour: colour(Math.max(0, order.indexOf(name))),
  })).filter((line) => line.values.some((value) => value !== null));
  const perMinute = groupByMinute(hour);
  const charts = [
    chart(TEXTS.rate, "", hour.at, lines("tops"), rate),
    chart(TEXTS.temperature, "°C", hour.at, lines("temperature"), (value) => value.toFixed(0)),
    chart(TEXTS.power, "W", hour.at, lines("power"), (value) => value.toFixed(0)),
    bars(TEXTS.confirmed_a_minute, perMinute),
  ].filter(Boolean);
  byId("charts").replaceChildren(...charts);
}

function groupByMinute(hour) {
  const end = hour.at.at(-1) ?? 0;
  const counts = new Array(60).fill(0);
  hour.at.forEach((at, index) => {
    const ago = Math.floor((end - at) / 60);
    if (ago < 60) counts[59 - ago] += hour.confirmed[index];
  });
  return counts;
}

function svg(tag, attributes, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
}

const PLOT = { width: 0, height: 150, left: 66, right: 8, top: 8, bottom: 20 };

function frame(most, format) {
  const root = svg("svg", { viewBox: `0 0 ${PLOT.width} ${PLOT.height}`, role: "img" });
  const y = (value) => PLOT.height - PLOT.bottom - (value / most) * (PLOT.height - PLOT.top - PLOT.bottom);
  const x = (ago) => PLOT.width - PLOT.right - (ago / HOUR) * (PLOT.width - PLOT.left - PLOT.right);
  for (const part of [0, 0.5, 1]) {
    root.append(svg("line", { class: "grid", x1: PLOT.left, x2: PLOT.width - PLOT.right, y1: y(part * most), y2: y(part * most) }));
    root.append(svg("text", { x: PLOT.left - 6, y: y(part * most) + 4, "text-anchor": "end" }, format(part * most)));
  }
  for (const minutes of PLOT.width < 400 ? [60, 30, 0] : [60, 45, 30, 15, 0]) {
    const anchor = minutes === 60 ? "start" : minutes === 0 ? "end" : "middle";
    const text = minutes ? `−${minutes} ${TEXTS.min}` : TEXTS.now;
    root.append(svg("text", { x: x(60 * minutes), y: PLOT.height - 4, "text-anchor": anchor }, text));
  }
  return { root, x, y };
}

function roundUp(value) {
  if (!(value > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 4, 5, 8, 10].map((step) => step * unit).find((step) => step >= value * 0.9999);
}

function chart(title, unit, at, lines, format) {
  if (!lines.length) return null;
  const values = lines.flatMap((line) => line.values.filter((value) => value !== null));
  const most = roundUp(Math.max(...values));
  const { root, x, y } = frame(most, (value) => format(value));
  const end = at.at(-1);
  const bridge = Math.max(60, 3 * (shown?.chain.block_time ?? 0));  // a longer silence is a gap
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
      : `${clock(at[index])}  ${lines.map((line) => (line.values[index] === null ? NOTHING : format(line.values[index]))).slice(0, 4).join(" · ")} ${unit}`;
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

function bars(title, counts) {
  const total = counts.reduce((a, b) => a + b);
  const { root, x, y } = frame(roundUp(Math.max(...counts)), (value) => `${Number(value.toPrecision(3))}`);
  const width = (x(0) - x(HOUR)) / counts.length;
  counts.forEach((count, index) => {
    if (!count) return;
    const bar = svg("rect", { class: "bar", x: x(HOUR) + index * width + 1, width: width - 2, y: y(count), height: y(0) - y(count), rx: 1 });
    bar.style.fill = colour(0);
    root.append(bar);
  });
  const text = TEXTS.in_the_hour.replace("{n}", total);
  root.setAttribute("aria-label", `${title}: ${text}`);
  return make("div", "card chart", make("h3", "", title, make("output", "", text)), root);
}

// Events and timers

byId("pause").addEventListener("click", () => order("pause"));
byId("resume").addEventListener("click", () => order("resume"));
byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  localStorage.setItem("token", byId("token").value.trim());
  look();
  lookBack();
});

function every(seconds, action) {
  setInterval(() => { if (!document.hidden) action(); }, 1000 * seconds);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) action(); });
}

window.addEventListener("resize", () => { if (drawn) drawCharts(drawn); });
look().then(() => { lookBack(); every(10, lookBack); });
every(2, look);
