// Rows added and removed, suggestions used, answers checked: the page is asked for as without JavaScript, and what changed of it
// is put in place, so that the source stays where it was scrolled to.
import { edit } from "./desk-keys.js";

const EDITING = /^(add|remove|use|take|check)(:|$)/;
const CHANGING = ["#answer", ".compare"];

export function startForm() {
  const form = document.getElementById("answer");
  if (!form) return;
  form.addEventListener("submit", send);
  if (form.dataset.focus) edit();
}

async function send(event) {
  const pressed = event.submitter;
  if (!EDITING.test(pressed?.value ?? "")) return;
  event.preventDefault();
  const form = event.target;
  const body = new URLSearchParams(new FormData(form, pressed));
  const known = new Set([...form.querySelectorAll("[id]")].map((one) => one.id));
  let page;
  try {
    const reply = await fetch(form.getAttribute("action"), { method: "POST", body, redirect: "error" });
    if (![200, 409, 422].includes(reply.status)) throw new Error(String(reply.status));
    page = new DOMParser().parseFromString(await reply.text(), "text/html");
  } catch {
    return plainly(form, pressed);
  }
  if (!page.getElementById("answer")) return plainly(form, pressed);
  replace(page, form);
  focusAfter(pressed.value, known);
}

// As without JavaScript: whatever the answer is, the browser shows it.
function plainly(form, pressed) {
  form.removeEventListener("submit", send);
  if (pressed.isConnected) form.requestSubmit(pressed);
}

function replace(page, form) {
  for (const what of CHANGING) {
    const now = document.querySelector(what);
    const then = page.querySelector(what);
    if (now && then) now.replaceWith(document.importNode(then, true));
  }
  for (const old of document.querySelectorAll("#errors, main > .notice[role=status], #lost")) old.remove();
  const said = page.querySelector("#lost, #errors, main > .notice[role=status]");
  if (said) document.getElementById("claim-lost").before(document.importNode(said, true));
  for (const hidden of document.querySelectorAll(".js[hidden]")) hidden.hidden = false;
  document.getElementById("answer").addEventListener("submit", send);
}

function focusAfter(action, known) {
  const form = document.getElementById("answer");
  const [verb, path] = action.split(":");
  if (verb === "check") {
    if (!form.querySelector("[aria-invalid=true], [data-invalid]")) return form.querySelector('[value="accept"]')?.focus();
    return edit();
  }
  if (verb === "add") {
    const fresh = [...form.querySelectorAll("input:not([type=hidden]), textarea, select")].find((one) => one.id && !known.has(one.id));
    return (fresh ?? form.querySelector(`[value="${CSS.escape(action)}"]`))?.focus();
  }
  if (verb === "remove") {
    const list = path.split(".").slice(0, -1).join(".");
    return form.querySelector(`[value="add:${CSS.escape(list)}"]`)?.focus();
  }
  form.querySelector("fieldset input:not([type=hidden]), fieldset textarea, fieldset select")?.focus();
}
