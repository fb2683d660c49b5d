// The map: borders, lakes, rivers, towns, the areas of warnings in force, and the gauges. Leaflet is a global (its file is no module).
/* global L */
import { amount } from "./format.js";
import { COLOUR, rank, symbol } from "./levels.js";
import { named, say } from "./words.js";

const LABELS_FROM = 7; // zoom from which gauges without a warning bear their names too
let map, land = null, areas = new Map(), markers = new Map(), areaLayer, select = () => {}, redrawTowns = () => {};

// Stations may carry zones of several hazards: each has its own corner, so that none hides another.
const ANCHOR = { flood: [16, 16], heat: [16, 46], heavy_rain: [46, 16], flash_flood: [-14, 16] };
const shapes = (layer, style) => L.geoJSON(layer, { style, interactive: false }).addTo(map);

async function layer(name) {
  const answer = await fetch(`/v1/map/${name}`);
  if (!answer.ok) throw new Error(`/v1/map/${name}: ${answer.status}`);
  return answer.json();
}

export async function open(region, onSelect) {
  select = onSelect;
  map = L.map("map", { zoomSnap: 0.5, attributionControl: false, minZoom: 4, maxZoom: 12, worldCopyJump: false });
  map.setView([30, 70], 6);
  L.control.scale({ imperial: false }).addTo(map);
  for (const [pane, order] of [["land", 210], ["water", 220], ["areas", 230], ["towns", 240]]) map.createPane(pane).style.zIndex = order;
  const draw = {
    countries: (data) => land = shapes(data, { pane: "land", color: "#9a9488", weight: 1, dashArray: "5 4", fillColor: "#f5f2ea", fillOpacity: 1 }),
    lakes: (data) => shapes(data, { pane: "water", color: "#7fb0d1", weight: 0.6, fillColor: "#a9cce3", fillOpacity: 1 }),
    rivers: (data) => shapes(data, { pane: "water", color: "#6aa5cd", weight: 1.8, opacity: 0.9 }),
    places: towns,
  };
  for (const name of ["countries", "lakes", "rivers", "places"]) if (region.maps.includes(name)) draw[name](await layer(name));
  const answer = await fetch("/v1/areas");
  for (const feature of (await answer.json()).features) areas.set(feature.id, feature);
  areaLayer = L.layerGroup().addTo(map);
  map.on("zoomend", label);
}

function towns(data) {
  const group = L.layerGroup().addTo(map);
  const show = () => {
    group.clearLayers();
    const least = { 4: 3e6, 5: 2e6, 6: 1.2e6, 7: 5e5, 8: 2e5 }[Math.floor(map.getZoom())] ?? 5e4;
    for (const { geometry, properties } of data.features) {
      if (properties.population < least) break; // most populous first
      const [lon, lat] = geometry.coordinates;
      const at = map.latLngToContainerPoint([lat, lon]);
      const place = box(at, 7 * properties.name.length + 8, 14, 0);
      if ([...markers.values()].some(({ marker }) => overlap(box(map.latLngToContainerPoint(marker.getLatLng()), 30, 30, -15), place))) continue;
      const text = document.createElement("span");
      text.textContent = properties.name;
      L.marker([lat, lon], { pane: "towns", interactive: false, keyboard: false, icon: L.divIcon({ className: "town", html: text, iconSize: null }) }).addTo(group);
    }
  };
  redrawTowns = show;
  map.on("zoomend", show);
}

function describe(zone) {
  const value = zone.value === null ? say("never") : amount(zone.value, zone.quantity);
  const hazard = zone.hazard === "flood" ? "" : `${say(zone.hazard)}, `;
  return `${named(zone.names)}: ${hazard}${say(zone.level)}, ${value}`;
}

export function show(features, fit) {
  const seen = [];
  for (const { id, geometry, properties } of features) {
    if (!geometry) continue;
    const at = [geometry.coordinates[1], geometry.coordinates[0]];
    seen.push(at);
    const expected = rank(properties.level_expected) > Math.max(0, rank(properties.level)) ? properties.level_expected : null;
    const look = [properties.hazard, properties.level, properties.alert?.level ?? "", expected ?? "", describe(properties)].join("|");
    const known = markers.get(id);
    if (known?.look === look) continue;
    known?.marker.remove();
    const anchor = ANCHOR[properties.hazard] ?? ANCHOR.flood;
    const icon = L.divIcon({
      className: "gauge", iconSize: [32, 32], iconAnchor: anchor,
      html: symbol(properties.level, { alert: properties.alert?.level ?? null, expected, hazard: properties.hazard }),
    });
    const order = 100 * (rank(properties.level) + 1 + (properties.alert ? 10 : 0));
    const marker = L.marker(at, { icon, zIndexOffset: order, alt: describe(properties), title: describe(properties) }).addTo(map);
    const element = marker.getElement();
    element.dataset.zone = id;
    element.dataset.level = properties.level;
    element.setAttribute("role", "button");
    element.setAttribute("aria-label", describe(properties));
    marker.on("click", () => select(id));
    marker.on("keypress", (event) => { if (event.originalEvent.key === "Enter" || event.originalEvent.key === " ") select(id); });
    markers.set(id, { marker, look, order, text: named(properties.names), alert: properties.alert?.level ?? null, aside: anchor.map((pixels) => 16 - pixels) });
  }
  shade(features);
  if (fit && seen.length) map.fitBounds(seen, { padding: [28, 28], animate: false });
  if (fit) map.getContainer().classList.toggle("unmapped", !land || !land.getBounds().intersects(map.getBounds())); // no country drawn: it is no sea
  label();
  redrawTowns();
}

// Names where there is room: the gravest warnings first, and none over another.
function label() {
  const taken = [...markers.values()].map((each) => box(seat(each), 22, 22, -11));
  const order = [...markers.values()].sort((a, b) => b.order - a.order);
  const edge = map.getSize().x;
  for (const { marker, alert, text, aside } of order) {
    const at = seat({ marker, aside });
    const width = 8 * text.length + 10;
    const room = [["right", box(at, width, 18, 14)], ["left", box(at, width, 18, -14 - width)]]
      .find(([, place]) => place.left >= 0 && place.right <= edge && !taken.some((other) => overlap(other, place)));
    const side = room && (alert !== null || map.getZoom() >= LABELS_FROM) ? room[0] : null;
    if (side) taken.push(room[1]);
    if (side === marker.side) continue;
    marker.side = side;
    marker.unbindTooltip();
    if (!side) continue;
    const name = document.createElement("span");
    name.textContent = text;
    marker.bindTooltip(name, { permanent: true, direction: side, offset: [aside[0] + (side === "right" ? 12 : -12), aside[1]], className: "gauge-name" });
  }
}

// Where a symbol is drawn, which is beside its place if it is not of a river's flood.
function seat({ marker, aside }) {
  const { x, y } = map.latLngToContainerPoint(marker.getLatLng());
  return { x: x + aside[0], y: y + aside[1] };
}

const box = ({ x, y }, width, height, offset) => ({ left: x + offset, right: x + offset + width, top: y - height / 2, bottom: y + height / 2 });
const overlap = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

function shade(features) {
  areaLayer.clearLayers();
  for (const { id, properties } of features) {
    const area = areas.get(id);
    if (!area || !properties.alert) continue;
    const colour = COLOUR[properties.alert.level];
    const shape = L.geoJSON(area, { pane: "areas", style: { color: colour, weight: 1, fillColor: colour, fillOpacity: 0.28, className: "area" } });
    shape.on("click", () => select(id));
    shape.addTo(areaLayer);
  }
}

export function centre(feature) {
  if (feature?.geometry) map.panInside([feature.geometry.coordinates[1], feature.geometry.coordinates[0]], { padding: [60, 60] });
}

export const forget = () => { for (const { marker } of markers.values()) marker.remove(); markers.clear(); };
