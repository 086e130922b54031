"use strict";
// Keeps the live part of a page up to date, unless it is paused or somebody is working inside it.
(() => {
  const part = document.querySelector("[data-stream]");
  if (!part || !("EventSource" in window)) return;
  const pause = document.querySelector("[data-pause]");
  const refresh = document.querySelector("[data-refresh]");
  const state = document.querySelector("[data-live-state]");
  let source = null;
  let waiting = null;

  const busy = () => part.contains(document.activeElement) || String(document.getSelection()).length > 0;
  const say = (words) => { if (state) state.textContent = words; };
  const show = (html) => { part.innerHTML = html; waiting = null; say("Live"); };
  let paused = false;

  function open() {
    source = new EventSource(part.dataset.stream);
    source.addEventListener("open", () => {
      say("Live");
      if (refresh) refresh.hidden = true;
    });
    source.addEventListener("part", (event) => {
      if (!busy()) return show(event.data);
      waiting = event.data;
      say("Held while you work in it");
    });
    source.addEventListener("error", () => {
      // Closed for good: signed out, or too many pages are live. The page itself says which.
      const over = source.readyState === EventSource.CLOSED;
      say(over ? "Not live any more" : "Connection lost; trying again");
      if (refresh) refresh.hidden = !over;
    });
  }
  function close(words) {
    if (source) source.close();
    source = null;
    say(words);
  }
  part.addEventListener("focusout", () => setTimeout(() => { if (waiting !== null && source && !busy()) show(waiting); }, 0));
  if (pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => {
      paused = !paused;
      if (paused) close("Paused"); else open();
      pause.textContent = paused ? "Resume" : "Pause";
      pause.setAttribute("aria-pressed", String(paused));
    });
  }
  if (refresh) refresh.hidden = true;
  // A browser has six connections to a host, for all tabs: those that nobody sees leave theirs to the others.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close(paused ? "Paused" : "Waiting"); else if (!paused && !source) open();
  });
  window.addEventListener("pagehide", () => close("Waiting"));
  if (!document.hidden) open();
})();
