// Heartbeats: a page that somebody works on holds its review, three times per lease. One that was left alone for a whole lease
// stops, so that its review returns to the queue although the page is open. And the seconds that a decision can still be taken back.
export function startLease() {
  for (const form of document.querySelectorAll("[data-undo-seconds]")) countDown(form);
  const form = document.querySelector("form[data-renew]");
  if (form) hold(form);
}

function hold(form) {
  const lease = Number(form.dataset.leaseSeconds) * 1000;
  const shown = document.querySelector("[data-lease]");
  let until = performance.now() + Number(form.dataset.leaseLeft) * 1000;
  const show = setInterval(() => {
    const left = Math.max(0, until - performance.now());
    if (shown) shown.textContent = left > 90000 ? `${Math.round(left / 60000)} min` : `${Math.ceil(left / 1000)} s`;
  }, 1000);
  let active = performance.now();
  for (const sign of ["keydown", "pointerdown", "pointermove", "wheel", "scroll"]) {
    document.addEventListener(sign, () => (active = performance.now()), { passive: true, capture: true });
  }
  const beat = setInterval(async () => {
    if (performance.now() - active > lease) {
      if (performance.now() > until) end("You were away, and your claim on this review has ended.");
      return;
    }
    const current = document.getElementById("answer") ?? form;
    let reply;
    try {
      reply = await fetch(form.dataset.renew, {
        method: "POST",
        body: new URLSearchParams({ csrf: current.elements.csrf.value, fence: current.elements.fence.value }),
        redirect: "manual",
      });
    } catch {
      return; // the network is away: the next beat tries again, and the page says how long the claim still holds
    }
    if (reply.ok) {
      until = performance.now() + (await reply.json()).seconds * 1000;
    } else if (reply.status === 409 || reply.status === 404 || reply.type === "opaqueredirect") {
      end(reply.type === "opaqueredirect" ? "You are signed out." : "Your claim on this review has ended.");
    }
  }, lease / 3);

  function end(what) {
    clearInterval(beat);
    clearInterval(show);
    if (shown) shown.textContent = "no longer";
    const text = document.createElement("p");
    text.textContent = what.startsWith("You are")
      ? `${what} Keep a copy of what you typed before you sign in again.`
      : `${what} What you typed stays here: press Accept to see whether you can claim it again.`;
    const notice = document.getElementById("claim-lost");
    notice.replaceChildren(text);
    notice.hidden = false;
  }
}

function countDown(form) {
  const until = performance.now() + Number(form.dataset.undoSeconds) * 1000;
  const shown = form.querySelector("[data-left]");
  const tick = setInterval(() => {
    const left = Math.ceil((until - performance.now()) / 1000);
    shown.textContent = String(Math.max(0, left));
    if (left > 0) return;
    clearInterval(tick);
    form.remove();
  }, 1000);
}
