"use strict";
// Keeps the page for when there is no connection, and sends what waits when there is one again, also with the page closed.
importScripts("/reader/queue.js");
const CACHE = "reader-VERSION";
const SHELL = ["/reader", "/reader/form.css", "/reader/words.js", "/reader/queue.js", "/reader/form.js", "/reader/icon.svg"];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL)).then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => {
  const old = caches.keys().then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))));
  event.waitUntil(old.then(() => self.clients.claim()));
});
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin || !SHELL.includes(url.pathname)) return;
  event.respondWith(caches.match(url.pathname).then((kept) => kept || fetch(event.request)));
});
self.addEventListener("sync", (event) => {
  if (event.tag === "readings") {
    event.waitUntil(Queue.flush().then((how) => { if (how === "offline") throw new Error("again later"); }));
  }
});
