// Single keys press what has data-key, unless somebody is typing. They can be switched off in the sheet (WCAG 2.1.4).
const STORED = "assay-keys";
const TYPING = "input:not([type=checkbox], [type=radio], [type=submit], [type=button]), textarea, select, [contenteditable]";

export function startKeys() {
  const sheet = document.getElementById("keys");
  const on = document.getElementById("keys-on");
  on.checked = localStorage.getItem(STORED) !== "off";
  on.addEventListener("change", () => localStorage.setItem(STORED, on.checked ? "on" : "off"));
  document.getElementById("show-keys")?.addEventListener("click", () => sheet.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing || sheet.open) return;
    if (event.target.closest(TYPING)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (on.checked && press(event.key)) event.preventDefault();
  });
}

function press(key) {
  if (key === "e") return edit();
  if (key === "j" || key === "k") return move(key === "j" ? 1 : -1);
  if (key === "t") return focusOn(document.getElementById("source"));
  if (key === "g" && !document.querySelector('[data-key="g"]')) {
    location.assign("/desk");
    return true;
  }
  const target = [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].find((one) => !one.disabled && !one.hidden);
  if (!target) return false;
  target.click();
  if (key === "x" && target.closest("details")) document.getElementById("reason")?.focus();
  return true;
}

export function edit() {
  const form = document.getElementById("answer");
  if (!form) return false;
  const wrong = form.querySelector("[aria-invalid=true], [data-invalid]");
  const field = wrong ?? form.querySelector("fieldset input:not([type=hidden]), fieldset textarea, fieldset select");
  const inside = field?.matches("fieldset") ? field.querySelector("input:not([type=hidden]), textarea, select, button") : field;
  return focusOn(inside ?? field);
}

function move(step) {
  const lines = [...document.querySelectorAll("[data-line]")];
  const at = lines.indexOf(document.activeElement);
  return focusOn(lines[at < 0 ? (step > 0 ? 0 : lines.length - 1) : at + step]);
}

function focusOn(element) {
  if (!element) return false;
  element.focus();
  element.scrollIntoView({ block: "nearest" });
  return true;
}
