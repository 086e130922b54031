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
  const show = (html) => { part.innerHTML = html; waiting = null; };

  function open() {
    source = new EventSource(part.dataset.stream);
    source.addEventListener("open", () => say("Live"));
    source.addEventListener("part", (event) => { if (busy()) { waiting = event.data; } else { show(event.data); } });
    source.addEventListener("error", () => say("Connection lost; trying again"));
  }
  function close() {
    if (source) source.close();
    source = null;
    say("Paused");
  }
  part.addEventListener("focusout", () => setTimeout(() => { if (waiting !== null && source && !busy()) show(waiting); }, 0));
  if (pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => {
      const paused = source !== null;
      if (paused) close(); else open();
      pause.textContent = paused ? "Resume" : "Pause";
      pause.setAttribute("aria-pressed", String(paused));
    });
  }
  if (refresh) refresh.hidden = true;
  window.addEventListener("pagehide", close);
  open();
})();
