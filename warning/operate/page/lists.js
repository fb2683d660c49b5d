// The lists: warnings in force with their reasons, earlier events, deliveries, sensors, legend. Everything is text, never markup.
import { amount, isolated, number, time, zoneName } from "./format.js";
import { COLOUR, ORDER, levelName, symbol } from "./levels.js";
import { current, named, say } from "./words.js";

export function make(tag, className = "", text = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

const fill = (id, children) => document.getElementById(id).replaceChildren(...children);

// In the reader's language if the document has it; else in English, marked as such so that it is read and set as English.
function words(alert) {
  const own = alert.texts[current()];
  const text = own ?? alert.texts.en;
  return { text, language: own ? current() : "en" }; // one that is withheld has none, and its reasons are in English
}

function mark(element, language) {
  element.lang = language;
  element.dir = "auto";
  return element;
}

// Of all revisions of a warning: people hear of some, and a renewal stands here in place of the one that they heard of.
export const chain = ({ identifier }) => identifier.replace(/\.\d+$/, "");

// Whom a warning does not get to: what an operator has to do something about.
function gaps(reach) {
  if (!reach) return [];
  const lines = [];
  if (reach.untold_since) lines.push(say("untold", { since: time(reach.untold_since) }));
  if (reach.without_way) lines.push(say("without_way", { number: reach.without_way }));
  if (reach.nobody_left) lines.push(say("nobody_left", { number: reach.nobody_left }));
  return lines.map((line) => make("p", "tag reach", line));
}

function card(alert, region, select, reach) {
  const { text, language } = words(alert);
  const item = make("li", `alert level-${alert.level}`);
  item.dataset.zone = alert.zone;
  item.style.setProperty("--colour", COLOUR[alert.level]);
  const button = make("button", "head");
  button.type = "button";
  button.append(symbol(alert.level, { size: 26, hazard: alert.hazard }), make("span", "where", named(alert.zone_names)), make("span", "badge", levelName(region, alert.level, alert.hazard)));
  button.addEventListener("click", () => select(alert.zone));
  item.append(button);
  if (text?.headline) item.append(mark(make("p", "headline", text.headline), language));
  const reasons = make("ul", "reasons");
  for (const reason of text?.reasons ?? alert.words) reasons.append(mark(make("li", "", reason), language));
  item.append(reasons);
  if (text?.instruction) item.append(mark(make("p", "instruction", text.instruction), language));
  item.append(...gaps(reach));
  if (alert.withheld) item.append(mark(make("p", "tag", alert.withheld), "en"));
  if (ahead(alert.arrival, alert.sent)) item.append(make("p", "arrival", say("arrives", { time: time(alert.arrival) })));
  if (text?.area) item.append(mark(make("p", "area", `${say("areas")}: ${text.area}`), language));
  const small = make("p", "small", `${say("sent", { time: time(alert.sent) })} · ${say("valid", { time: time(alert.expires) })}`);
  if (alert.cap) {
    const link = make("a", "", say("document"));
    link.href = alert.cap;
    small.append(" · ", link);
  }
  if (alert.status !== "Actual") small.append(" · ", make("span", "tag", say(alert.status)));
  item.append(small);
  return item;
}

export function alerts(answer, region, select, reach) {
  document.getElementById("alert-count").textContent = answer.alerts.length ? String(answer.alerts.length) : "";
  fill("alert-list", answer.alerts.length ? answer.alerts.map((alert) => card(alert, region, select, reach.get(chain(alert)))) : [make("li", "nothing", say("none"))]);
}

export function past(answer, region) {
  fill("past-list", answer.alerts.filter((alert) => !alert.current).map((alert) => {
    const line = `${time(alert.sent)}  ${named(alert.zone_names)}: ${levelName(region, alert.level, alert.hazard)}, ${say(alert.kind)}`;
    const item = make("li", "", "", symbol(alert.level, { size: 18, hazard: alert.hazard }), make("span", "", line));
    return item;
  }));
}

const stateName = (state) => say(state === "failed" ? "failed_state" : state);

export function deliveries(answer, region, zones) {
  fill("delivery-head", ["when", "zone", "level", "contact", "channel", "state", "parts"].map((key) => { const cell = make("th", "", key === "when" ? `${say(key)} (${zoneName()})` : say(key)); cell.scope = "col"; return cell; }));
  const counts = Object.entries(answer.counts).map(([channel, states]) => `${channel}: ` + Object.entries(states).map(([state, count]) => `${stateName(state)} ${count}`).join(say("comma")));
  document.getElementById("delivery-counts").textContent = counts.length ? counts.join(" · ") : say("no_deliveries");
  fill("delivery-rows", answer.deliveries.map((each) => {
    const row = make("tr");
    const state = make("td", `state ${each.state}`, stateName(each.state) + (each.reason ? ` (${each.reason})` : "") + (each.doubled ? `, ${say("doubled")}` : ""));
    const contact = make("td", "", each.contact);
    contact.dir = "ltr";
    row.append(make("td", "", time(each.at, false)), make("td", "", named(zones.get(each.zone)?.names) || each.zone), make("td", "", levelName(region, each.level, zones.get(each.zone)?.hazard)),
      contact, make("td", "", each.channel), state, make("td", "", each.channel === "sms" ? `\u2068${each.parts_delivered}/${each.parts}\u2069` : ""));
    return row;
  }));
}

export function sensors(answer) {
  const total = (list, key) => list.reduce((sum, each) => sum + each[key], 0);
  const entry = (term, value) => [make("dt", "", term), make("dd", "", value)];
  const causes = (list, word, key) => list.slice(0, 6).map((each) => isolated(`${each[word]} ${each[key]}`)).join(say("comma"));
  fill("sensor-counts", [
    ...entry(say("silent"), String(answer.silent.length)),
    ...entry(say("rejected"), [number(total(answer.rejected, "records"), "discharge"), causes(answer.rejected, "reason", "records")].filter(Boolean).join(": ")),
    ...entry(say("flagged"), [number(total(answer.flagged, "readings"), "discharge"), causes(answer.flagged, "cause", "readings")].filter(Boolean).join(": ")),
  ]);
  fill("silent-list", answer.silent.map((each) =>
    make("li", "", `${named(each.names)}, ${say(each.parameter)}: ${each.last ? say("silent_since", { time: time(each.last) }) : say("never")}`)));
}

export function legend(region) {
  const entries = ORDER.map((level) => make("li", "", "", symbol(level, { size: 22 }), make("span", "", level === "UNKNOWN" ? say(level) : levelName(region, level))));
  entries.push(make("li", "", "", symbol("NORMAL", { alert: "HIGH", size: 22 }), make("span", "", say("limit_ring"))));
  entries.push(make("li", "", "", symbol("NORMAL", { expected: "HIGH", size: 22 }), make("span", "", say("expected_ring"))));
  fill("legend", entries);
}

// Whether the water was still to come then; a time that passed unseen would read as a promise.
function ahead(arrival, then) {
  return arrival && Date.parse(arrival) > Date.parse(then);
}

export function gauge({ zone, reasons }, region) {
  const title = document.getElementById("gauge-title");
  title.replaceChildren(symbol(zone.level, { alert: zone.alert?.level ?? null, size: 28, hazard: zone.hazard }), document.createTextNode(` ${named(zone.names)}${zone.hazard === "flood" ? "" : ` · ${say(zone.hazard)}`}`));
  const parts = [zone.level === "UNKNOWN" ? say("UNKNOWN") : levelName(region, zone.level, zone.hazard)];
  if (zone.value !== null) parts.push(say("at_gauge", { value: amount(zone.value, zone.quantity), time: time(zone.observed) }));
  if (zone.level === "UNKNOWN") parts.push(zone.silent_since ? say("silent_since", { time: time(zone.silent_since) }) : say("never"));
  if (zone.level_expected !== "UNKNOWN" && zone.level_expected !== "NORMAL") {
    parts.push(say("expected", { level: levelName(region, zone.level_expected, zone.hazard), probability: Math.round(zone.probability * 100) }));
  }
  if (ahead(zone.arrival, zone.at)) parts.push(say("arrives", { time: time(zone.arrival) }));
  if (zone.position === "approximate") parts.push(say("approximate"));
  document.getElementById("gauge-now").textContent = parts.join(" · ");
  const language = reasons[current()] ? current() : "en";
  fill("gauge-words", (reasons[language] ?? zone.words).map((word) => mark(make("li", "", word), language)));
}

// Who and what lies in the zone of a gauge: the words of the server, then the towns and assets by name.
export function exposure(found) {
  const section = document.getElementById("gauge-exposure");
  section.hidden = !found;
  if (!found) return;
  const language = found.texts[current()] ? current() : "en";
  const words = document.getElementById("exposure-words");
  words.textContent = found.texts[language] ?? "";
  mark(words, language);
  fill("exposure-towns", found.largest.map((town) =>
    make("li", "", `${isolated(town.name)}: ${town.people ? say("people", { number: isolated(number(town.people, "discharge")) }) : say("unsized")}`)));
  fill("exposure-assets", found.assets.map((asset) => {
    const item = make("li", "", named(asset.names));
    if (asset.position === "approximate") item.append(" ", make("span", "small", `(${say("approximate")})`));
    return item;
  }));
}
