"use strict";
// What waits to be sent, in IndexedDB: used by the page and by its service worker. A reading is dropped by no one but its reader; it is
// "sent" only when the server has answered 202, which it does when the log has it. Sending one twice is harmless: a reading has an identity.
const Queue = (() => {
  const KEPT = 200; // that are done
  const open = () => new Promise((resolve, reject) => {
    const request = indexedDB.open("reader", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("readings", { keyPath: "id", autoIncrement: true });
      request.result.createObjectStore("meta");
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const run = async (store, mode, work) => {
    const base = await open();
    try {
      return await new Promise((resolve, reject) => {
        const transaction = base.transaction(store, mode, { durability: "strict" });
        const request = work(transaction.objectStore(store));
        transaction.oncomplete = () => resolve(request && request.result);
        transaction.onerror = transaction.onabort = () => reject(transaction.error);
      });
    } finally { base.close(); }
  };
  const all = () => run("readings", "readonly", (store) => store.getAll());
  const put = (one) => run("readings", "readwrite", (store) => store.put(one));
  const add = (one) => run("readings", "readwrite", (store) => store.add({ ...one, state: "queued" }));
  const remove = (id) => run("readings", "readwrite", (store) => store.delete(id));
  const meta = (name) => run("meta", "readonly", (store) => store.get(name));
  const setMeta = (name, value) => run("meta", "readwrite", (store) => store.put(value, name));

  const send = async (one, key) => {
    const headers = { Authorization: `Bearer ${key}` };
    if (!one.photo) {
      return fetch("/v1/readings", { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(one.item) });
    }
    const body = new FormData();
    body.append("reading", JSON.stringify(one.item));
    body.append("photo", one.photo, "gauge.jpg");
    return fetch("/v1/photos", { method: "POST", headers, body });
  };

  // Sends what waits, in order. Returns "done", "offline" (try later), "key" (401: nothing is lost, a new link goes on with it).
  const flushed = async (told) => {
    const key = await meta("key");
    if (!key) return "key";
    for (const one of (await all()).filter((each) => each.state === "queued")) {
      let response, content;
      try {
        response = await send(one, key);
        content = await response.json();
      } catch { return "offline"; }
      if (response.status === 202) {
        one.state = "sent"; one.without = one.without || (Boolean(one.photo) && !content.photo); delete one.photo;
      } else if (response.status === 401) {
        return "key";
      } else if ([400, 413, 415].includes(response.status) && one.photo) {
        delete one.photo; one.without = true; await put(one); // a photo that is none must not cost the reading
        return flushed(told);
      } else if (response.status >= 500 || response.status === 408 || response.status === 429) {
        return "offline";
      } else {
        one.state = "refused"; one.why = [content.detail, content.fix].filter(Boolean).join(". "); delete one.photo;
      }
      await put(one);
      if (told) told();
    }
    const done = (await all()).filter((each) => each.state !== "queued");
    for (const one of done.slice(0, Math.max(0, done.length - KEPT))) await remove(one.id);
    return "done";
  };
  const flush = (told) => navigator.locks.request("reader-queue", () => flushed(told));
  return { all, add, meta, setMeta, flush };
})();
