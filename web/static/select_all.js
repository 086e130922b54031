"use strict";
// One box that ticks all rows of a page. Without it each row is ticked by hand.
(() => {
  const all = document.querySelector("[data-select-all]");
  if (!all) return;
  const boxes = [...all.form.querySelectorAll('input[name="id"]')];
  if (!boxes.length) return;
  const show = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    all.checked = ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
  };
  all.hidden = false;
  all.addEventListener("change", () => boxes.forEach((box) => { box.checked = all.checked; }));
  boxes.forEach((box) => box.addEventListener("change", show));
  show();
})();
