// Many rigs in one table, each a link to its own page. Asks for /rigs every three seconds.
"use strict";

let shown = [];

async function lookAgain() {
  try {
    shown = await ask("rigs");
    show();
  } catch (error) {
    badge("lost", "bad");
    if (error.message !== "401") troubles([[TEXTS.lost, "bad"]]);
    document.body.classList.add("stale");
  }
}

function show() {
  document.body.classList.remove("stale");
  const wanted = byId("search").value.toLowerCase();
  const found = shown.filter((rig) => `${rig.url} ${rig.state} ${rig.trouble}`.toLowerCase().includes(wanted));
  const ill = shown.filter((rig) => rig.trouble).length;
  byId("state").textContent = ill ? TEXTS.ill.replace("{n}", ill) : TEXTS.well;
  byId("state").className = `state ${ill ? "bad" : "good"}`;
  const sum = (field) => shown.reduce((total, rig) => total + (rig[field] ?? 0), 0);
  byId("who").textContent = `${rate(sum("tops"))} · ${inUnit("watts", fixed(sum("watts")))}`;
  troubles([]);
  const head = make("thead", "", make("tr", "", ...TEXTS.columns.map((name) => make("th", "", name))));
  redraw(byId("devices"), make("table", "", head, make("tbody", "", ...found.map(row))));
  document.title = `${byId("state").textContent} · cpc-engine`;
}

function row(rig) {
  const link = make("a", "", rig.url);
  Object.assign(link, { href: rig.url, target: "_blank", rel: "noreferrer noopener" });
  const tone = rig.trouble ? "bad" : TONES[rig.state] ?? "warn";
  const trouble = rig.trouble ? make("span", "sub", rig.trouble) : "";
  const cells = [
    rig.devices === null ? NOTHING : `${rig.in_service}/${rig.devices}`, rate(rig.tops),
    rig.watts === null ? NOTHING : inUnit("watts", fixed(rig.watts)), rig.confirmed ?? NOTHING, rig.pending ?? NOTHING,
  ].map((text, at) => {
    const cell = make("td", "", text);
    cell.dataset.name = TEXTS.columns[at + 2];
    return cell;
  });
  return make("tr", "", make("td", "name", link), make("td", tone, make("span", "", TEXTS.states[rig.state] ?? rig.state, trouble)), ...cells);
}

byId("search").addEventListener("input", show);
lookAgain();
every(3, lookAgain);
