// Live updates. Everything else works without this file.
"use strict";

for (const place of document.querySelectorAll("[data-live]")) {
  const state = document.querySelector("[data-live-state]");
  const say = (words) => { if (state) state.textContent = words; };
  const source = new EventSource(place.dataset.live);
  // The pieces are made by the server, which escapes what is not its own.
  const show = (event) => { place.innerHTML = event.data; };
  source.addEventListener("open", () => say("Live."));
  source.addEventListener("error", () => say("Not live: the connection is being made again."));
  source.addEventListener("piece", show);
  source.addEventListener("last", (event) => {
    show(event);
    source.close();
    say("It is over.");
    for (const form of document.querySelectorAll('form[action$="/stop"]')) form.remove();
  });
}
