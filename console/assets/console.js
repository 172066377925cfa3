// Replaces the content of each [data-live] element by what its stream sends: HTML that the server has escaped.
"use strict";
const streams = [];
for (const place of document.querySelectorAll("[data-live]")) {
  const stream = new EventSource(place.dataset.live);
  stream.addEventListener("message", (e) => {
    if (paused) return;
    const focused = place.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const scrolled = place.querySelector(".scroll")?.scrollLeft ?? 0;
    place.innerHTML = e.data;
    const table = place.querySelector(".scroll");
    if (table) table.scrollLeft = scrolled;
    if (focused) place.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  });
  streams.push(stream);
}
let paused = false;
for (const button of document.querySelectorAll("[data-pause]")) {
  button.addEventListener("click", () => {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
  });
}
document.documentElement.dataset.script = "";
// A page that the browser keeps for its back button would hold the connection.
addEventListener("pagehide", () => streams.forEach((s) => s.close()));
addEventListener("pageshow", (e) => { if (e.persisted && streams.length) location.reload(); });
