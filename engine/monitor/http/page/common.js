// What the engine's page and the fleet's share: texts, requests with the token, and small parts of a page.
"use strict";

const TEXTS = JSON.parse(document.body.dataset.texts);
const NOTHING = "–";
const TONES = { mining: "good", working: "good", waiting: "warn", degraded: "warn", busy: "good", idle: "good", paused: "warn", backoff: "warn", out: "bad" };
const byId = (id) => document.getElementById(id);

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

function make(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

// What is redrawn keeps the keyboard's place in it.
function redraw(box, ...nodes) {
  const at = [...box.querySelectorAll("button, a")].indexOf(document.activeElement);
  box.replaceChildren(...nodes);
  if (at >= 0) box.querySelectorAll("button, a")[at]?.focus({ preventScroll: true });
}

// Numbers as the page's language writes them, and their units.

const fixed = (value, digits = 0) => value.toLocaleString(document.documentElement.lang, { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false });
const short = (value) => value.toLocaleString(document.documentElement.lang, { maximumSignificantDigits: 3, useGrouping: false });
const pointed = (text) => text.replace(".", () => fixed(0.5, 1)[1]);
const inUnit = (name, number) => TEXTS.units[name].replace(/\{\w+\}/, () => number);

function rate(tops) {
  if (tops === null) return NOTHING;
  const [unit, factor] = [["TOPS", 1], ["GOPS", 1e3], ["MOPS", 1e6]].find(([, factor]) => tops * factor >= 1) ?? ["MOPS", 1e6];
  const value = tops * factor;
  return `${value >= 100 ? fixed(value) : short(value)} ${unit}`;
}

function duration(value) {
  const whole = Math.max(0, Math.floor(value));
  const days = Math.floor(whole / 86400), hours = Math.floor(whole / 3600) % 24;
  const minutes = Math.floor(whole / 60) % 60;
  if (days) return `${days} ${TEXTS.d} ${hours} ${TEXTS.h}`;
  if (hours) return `${hours} ${TEXTS.h} ${minutes} ${TEXTS.min}`;
  if (minutes) return `${minutes} ${TEXTS.min} ${whole % 60} ${TEXTS.s}`;
  return `${whole} ${TEXTS.s}`;
}

function badge(state, tone) {
  byId("state").textContent = TEXTS.states[state] ?? state;
  byId("state").className = `state ${tone}`;
}

function troubles(list) {
  const wanted = list.filter(([text]) => text);
  const box = byId("troubles");
  if (box.textContent === wanted.map(([text]) => text).join("")) return;  // not read out again
  box.replaceChildren(...wanted.map(([text, tone]) => make("p", tone, text)));
}

function every(seconds, action) {
  setInterval(() => { if (!document.hidden) action(); }, 1000 * seconds);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) action(); });
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  localStorage.setItem("token", byId("token").value.trim());
  lookAgain();
});
