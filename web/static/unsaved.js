"use strict";
// Asks before a page is left on which something was typed that was not sent.
(() => {
  const forms = document.querySelectorAll("form[data-unsaved]");
  let typed = [...forms].some((form) => form.dataset.unsaved === "typed");
  const ask = (event) => event.preventDefault();
  const show = () => { if (typed) window.addEventListener("beforeunload", ask); else window.removeEventListener("beforeunload", ask); };
  forms.forEach((form) => {
    form.addEventListener("input", () => { typed = true; show(); });
    form.addEventListener("submit", () => { typed = false; show(); });
  });
  show();
})();
