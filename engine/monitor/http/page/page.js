// The live view in a browser. Asks for /status every two seconds and /history every ten, and draws both.
"use strict";

const EVENT_TONES = {
  confirmed: "good", given_up: "warn", skipped: "warn", gap: "warn", rolled_back: "warn", paused: "warn",
  warning: "warn", card_fault: "bad", child_killed: "bad", child_ended: "bad", out_of_service: "bad",
  trouble: "bad", trouble_over: "good",
};
const EXPLORER = document.body.dataset.explorer;  // a URL with {tx} in it, or nothing
let shown = null;  // the newest /status
let span = "hour";
let listed = "";  // the events that stand there

// Orders and looks

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
    drawCharts(await ask(`history?span=${span}`), span);
  } catch { /* `look` reports it */ }
}

// Status

const seconds = (value) => (value < 1 ? inUnit("milliseconds", fixed(1000 * value)) : inUnit("seconds", fixed(value, 1)));
const clock = (at) => new Date(1000 * at).toLocaleTimeString(document.documentElement.lang, { hour12: false });
const sub = (text) => (text ? make("span", "sub", text) : "");
const colour = (index) => `var(--s${index % 8})`;

function money(cpc, most = 11) {
  if (cpc === null) return NOTHING;
  const [whole, decimals = ""] = cpc.split(".");
  return pointed(decimals.length > most ? `${whole}.${decimals.slice(0, most)}…` : cpc);
}

// What is shown short is copied whole. Over plain http from another machine there is no clipboard: then it is selected.
function copyable(text, whole) {
  const node = make("button", "copy", text);
  node.type = "button";
  node.title = whole;
  node.setAttribute("aria-label", `${text}: ${TEXTS.copy}`);
  node.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(whole);
      node.textContent = TEXTS.copied;
    } catch {
      node.textContent = whole;
      getSelection().selectAllChildren(node);
    }
    setTimeout(() => { node.textContent = text; }, 2500);
  });
  return node;
}

function transaction(hash) {
  if (!EXPLORER) return copyable("⧉", hash);
  const link = make("a", "", "↗");
  link.setAttribute("aria-label", hash);
  Object.assign(link, { href: EXPLORER.replace("{tx}", encodeURIComponent(hash)), title: hash, target: "_blank", rel: "noreferrer noopener" });
  return link;
}

function sum(devices) {
  const rates = devices.map((device) => device.tops).filter((tops) => tops !== null);
  return rates.length ? rates.reduce((a, b) => a + b) : null;
}

function show(seen) {
  document.body.classList.remove("stale");
  badge(seen.state, TONES[seen.state] ?? "warn");
  const up = TEXTS.up.replace("{time}", duration(seen.now - seen.started_at));
  if (byId("who").title !== seen.address) byId("who").replaceChildren(copyable(seen.address, seen.address));
  byId("who").title = seen.address;
  byId("up").textContent = up;
  byId("pause").hidden = seen.state === "stopping" || seen.pause_asked;
  byId("resume").hidden = !seen.pause_asked;
  troubles([
    [seen.paused && `${TEXTS.paused}: ${seen.paused}`, "warn"],
    ...[...seen.troubles].sort((a, b) => b.stops - a.stops).map(troubleRow),
  ]);
  figures(seen);
  devices(seen.devices);
  showEvents();
  byId("about").textContent = `cpc-engine ${seen.version} · ${seen.chain.chain_id} · ${seen.chain.node}`;
  document.title = `${TEXTS.states[seen.state]} · cpc-engine`;
}

function lost(error) {
  badge("lost", "bad");
  document.body.classList.add("stale");
  if (error.message !== "401") troubles([[TEXTS.lost, "bad"]]);
}

function troubleRow(trouble) {
  const since = TEXTS.since.replace("{time}", () => clock(trouble.since)).replace("{message}", () => trouble.message);
  return [trouble.advice ? `${since}. ${trouble.advice}` : since, trouble.stops ? "bad" : "warn"];
}

function figures(seen) {
  const chain = seen.chain, results = seen.results, blocks = seen.blocks;
  const next = !chain.next_block_in || !chain.node_answers ? "" : `${TEXTS.next_block} ${chain.next_block_in.toFixed(0)} ${TEXTS.s}`;
  const bar = document.createElement("progress");
  bar.max = chain.block_time ?? 1;
  bar.value = chain.next_block_in === null ? 0 : bar.max - chain.next_block_in;
  bar.setAttribute("aria-label", TEXTS.next_block);
  const skipped = TEXTS.blocks.replace("{skipped}", blocks.skipped).replace("{missed}", blocks.missed);
  if (seen.jobs.validators.length) return jobFigures(seen);
  redraw(byId("figures"),
    card(TEXTS.rate, rate(sum(seen.devices)), "", TEXTS.tasks.replace("{n}", seen.run.computed)),
    card(TEXTS.confirmed, results.confirmed, "", TEXTS.pending.replace("{n}", results.pending)),
    card(TEXTS.given_up, results.given_up, "", skipped),
    card(TEXTS.height, chain.height ?? NOTHING, "", next, bar),
    balance(seen, `${TEXTS.fees} ${money(seen.fees)}, ${TEXTS.received} ${money(seen.run.received)}`),
  );
}

function balance(seen, more) {
  return card(TEXTS.balance, seen.balance === null ? NOTHING : copyable(money(seen.balance, 6), seen.balance), "CPC", more);
}

function jobFigures(seen) {
  const jobs = seen.jobs;
  redraw(byId("figures"),
    card(TEXTS.rate, rate(sum(seen.devices)), "", TEXTS.tasks.replace("{n}", jobs.computed)),
    card(TEXTS.taken, jobs.taken, "", TEXTS.declined.replace("{n}", jobs.declined)),
    card(TEXTS.accepted, jobs.accepted, "", TEXTS.rejected.replace("{n}", jobs.rejected)),
    card(TEXTS.validators, jobs.validators.length, "", jobs.validators.join(", ")),
    ...(seen.balance === null ? [] : [balance(seen, `${TEXTS.received} ${money(seen.run.received)}`)]),
  );
}

function card(name, value, unit, more, ...rest) {
  const number = make("div", "value", value);
  if (unit) number.append(" ", make("span", "unit", unit));
  return make("div", "card", make("div", "name", name), number, make("div", "more", more), ...rest);
}

function devices(list) {
  if (!list.length) return byId("devices").replaceChildren(make("p", "empty", TEXTS.none));
  const names = TEXTS.columns;
  const head = make("thead", "", make("tr", "", ...names.map((name) => make("th", "", name))));
  const body = make("tbody", "", ...list.map((device, index) => deviceRow(device, index, names)));
  redraw(byId("devices"), make("table", "", head, body));
}

function labelled(colour, name) {
  const dot = make("span", "dot");
  dot.style.color = colour;
  return make("span", "", dot, name);
}

function power(device) {
  if (device.power === null) return NOTHING;
  const watts = inUnit("watts", fixed(device.power));
  return device.clock === null ? watts : make("span", "", watts, sub(inUnit("megahertz", fixed(device.clock / 1e6))));
}

function deviceRow(device, index, names) {
  const tone = TONES[device.state] ?? "warn";
  const name = make("td", "name", labelled(tone === "good" ? colour(index) : `var(--${tone})`, device.name));
  const fell = device.restarts ? TEXTS.restarts.replace("{n}", device.restarts) : "";
  const why = [device.reason, fell].filter(Boolean).join("; ");
  const state = make("td", tone, make("span", "", TEXTS.states[device.state], sub(why)));
  if (device.compiled !== null) {
    const bar = document.createElement("progress");
    bar.value = device.compiled;
    bar.setAttribute("aria-label", TEXTS.states.compiling);
    state.firstChild.append(bar);
  }
  if (device.card) name.firstChild.append(sub(device.card));
  const gib = (bytes) => fixed(bytes / 2 ** 30, 1);
  const memory = device.memory_used === null ? NOTHING
    : inUnit("gib", `${gib(device.memory_used)}${device.memory_total ? ` / ${gib(device.memory_total)}` : ""}`);
  const last = device.last_result === null ? NOTHING
    : make("span", "", `${device.last_height} · `, copyable(device.last_result.slice(0, 8), device.last_result), ` · ${seconds(device.last_seconds)}`);
  const cells = [
    rate(device.tops), `${device.tasks}`,
    device.temperature === null ? NOTHING : `${fixed(device.temperature)} °C`,
    power(device), memory, last,
  ].map((text, at) => {
    const cell = make("td", at > 3 ? "wide" : "", text);
    cell.dataset.name = names[at + 2];
    return cell;
  });
  return make("tr", "", name, state, ...cells);
}

function eventRow(event) {
  const line = make("span", EVENT_TONES[event.event] ?? "", event.line);
  if (event.tx_hash) line.append(" ", transaction(event.tx_hash));
  return make("li", "", make("time", "", clock(event.at)), line);
}

function showEvents() {
  const wanted = byId("search").value.toLowerCase(), onlyTrouble = byId("filter").value === "trouble";
  const found = (shown?.events ?? []).filter((event) => event.line.toLowerCase().includes(wanted)
    && (!onlyTrouble || ["warn", "bad"].includes(EVENT_TONES[event.event])));
  const key = JSON.stringify(found.slice(-20));
  if (key === listed) return;  // a selection in it stays
  listed = key;
  redraw(byId("events"), ...(found.length ? found.slice(-20).reverse().map(eventRow) : [make("li", "empty", TEXTS.none)]));
}

// Events and timers

byId("pause").addEventListener("click", () => order("pause"));
byId("resume").addEventListener("click", () => order("resume"));
byId("filter").addEventListener("change", showEvents);
byId("search").addEventListener("input", showEvents);
for (const button of document.querySelectorAll("#spans button")) {
  button.addEventListener("click", () => {
    span = button.value;
    for (const one of document.querySelectorAll("#spans button")) one.setAttribute("aria-pressed", one === button);
    lookBack();
  });
}

window.addEventListener("resize", () => { if (drawn) drawCharts(drawn, span); });
function lookAgain() {
  look();
  lookBack();
}

look().then(() => { lookBack(); every(10, lookBack); });
every(2, look);
