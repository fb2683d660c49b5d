// Asks the API every few seconds and shows what it says. It decides nothing.
import { time, span, use } from "./format.js";
import * as hydrograph from "./hydrograph.js";
import * as lists from "./lists.js";
import * as map from "./map.js";
import { choose, current, languages, nameOf, named, say } from "./words.js";

const EVERY_MS = 4000;
const SENSORS_EVERY_MS = 20000;
const state = { region: null, zones: [], alerts: null, past: null, deliveries: null, reach: null, sensors: null, selected: null, graph: null, heard: Date.now(), sensorsAt: 0, lost: false };

async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function banners() {
  const { region } = state;
  const exercise = document.getElementById("exercise");
  exercise.hidden = !region || (region.status === "Actual" && !region.replay);
  if (region) exercise.textContent = say(region.replay ? "replay" : "exercise");
  const troubles = [];
  if (state.lost) troubles.push(say("unreachable", { since: time(new Date(state.heard).toISOString()) }));
  if (region?.still_s > 60) troubles.push(say("still", { span: span(region.still_s) }));
  if (region?.reading) troubles.push(say("reading", { why: region.reading }));
  const trouble = document.getElementById("trouble");
  const text = troubles.join(" ");
  trouble.hidden = !text;
  if (trouble.textContent !== text) trouble.textContent = text; // an unchanged alert is not read aloud again
}

function head() {
  const { region, zones, alerts } = state;
  document.title = `${say("title")}: ${named(region.names)}`;
  document.getElementById("title").textContent = `${say("title")}: ${named(region.names)}`;
  document.getElementById("clock").textContent = region.log_time ? say("as_of", { time: time(region.log_time) }) : "";
  const unknown = zones.filter((zone) => zone.properties.level === "UNKNOWN").length;
  document.getElementById("summary").textContent = say("summary", { alerts: alerts.alerts.length, unknown, zones: zones.length });
  document.getElementById("version").textContent = `${region.id} · ${region.version} · ${region.config.slice(0, 8)}`;
}

function show(fit = false) {
  if (!state.region || !state.alerts) return;
  head();
  banners();
  const zones = new Map(state.zones.map((zone) => [zone.id, zone.properties]));
  map.show(state.zones, fit);
  lists.alerts(state.alerts, state.region, select, new Map(state.reach.alerts.map((each) => [lists.chain(each), each])));
  lists.past(state.past, state.region);
  lists.deliveries(state.deliveries, state.region, zones);
  if (state.sensors) lists.sensors(state.sensors);
  graph();
}

function graph() {
  const section = document.getElementById("gauge");
  section.hidden = !state.graph;
  if (!state.graph) return;
  lists.gauge(state.graph, state.region);
  lists.exposure(state.graph.exposure);
  hydrograph.draw(state.graph, state.region, Date.parse(state.region.log_time ?? new Date().toISOString()) / 1000);
}

async function select(zone) {
  state.selected = zone;
  history.replaceState(null, "", `#zone=${encodeURIComponent(zone)}`);
  try {
    const answer = await ask(`/v1/zones/${encodeURIComponent(zone)}`);
    if (state.selected !== zone) return; // another one was chosen meanwhile
    state.graph = answer;
  } catch (error) {
    console.warn(error);
    state.lost = true;
    banners();
    return;
  }
  graph();
  map.centre(state.zones.find((each) => each.id === zone));
  document.getElementById("gauge").scrollIntoView({ block: "nearest", behavior: "smooth" });
}

let before = "";
async function poll() {
  try {
    const [region, zones, alerts, past, deliveries, reach] = await Promise.all([
      ask("/v1/region"), ask("/v1/zones"), ask("/v1/alerts?current=true"), ask("/v1/alerts?limit=40"), ask("/v1/deliveries?limit=60"), ask("/v1/reach"),
    ]);
    if (Date.now() - state.sensorsAt > SENSORS_EVERY_MS) {
      state.sensors = await ask("/v1/sensors");
      state.sensorsAt = Date.now();
    }
    if (state.selected) state.graph = await ask(`/v1/zones/${encodeURIComponent(state.selected)}`);
    Object.assign(state, { region, zones: zones.features, alerts, past, deliveries, reach, heard: Date.now(), lost: false });
    use(region);
    const now = JSON.stringify([zones, alerts, past, deliveries, reach, state.sensors, state.graph]);
    if (now !== before) show(before === "");
    else { head(); banners(); }
    before = now;
  } catch (error) {
    // The page says that it is cut off and asks again; what it shows stays.
    console.warn(error);
    state.lost = true;
    banners();
  }
}

function speak(code) {
  choose(code);
  localStorage.setItem("language", code);
  for (const button of document.querySelectorAll("#languages button")) button.setAttribute("aria-pressed", String(button.lang === current()));
  lists.legend(state.region);
  map.forget();
  show();
}

function languageSwitch(region) {
  const offered = languages().filter((code) => region.languages.includes(code));
  document.getElementById("languages").replaceChildren(...offered.map((code) => {
    const button = lists.make("button", "", nameOf(code));
    button.type = "button";
    button.lang = code;
    button.addEventListener("click", () => speak(code));
    return button;
  }));
  const wanted = [new URLSearchParams(location.search).get("lang"), localStorage.getItem("language"), ...navigator.languages.map((each) => each.split("-")[0])];
  return wanted.find((code) => offered.includes(code)) ?? offered[0] ?? "en";
}

async function start() {
  for (;;) {
    try {
      state.region = await ask("/v1/region");
      break;
    } catch (error) {
      console.warn(error);
      state.lost = true;
      banners();
      await new Promise((done) => { setTimeout(done, EVERY_MS); });
    }
  }
  use(state.region);
  await map.open(state.region, select);
  speak(languageSwitch(state.region));
  const linked = new URLSearchParams(location.hash.slice(1)).get("zone");
  await poll();
  if (linked) await select(linked);
  for (;;) {
    await new Promise((done) => { setTimeout(done, EVERY_MS); });
    if (!document.hidden) await poll();
  }
}

addEventListener("resize", () => graph());
start();
