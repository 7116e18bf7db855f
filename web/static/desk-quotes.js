// Quotes: what is selected in the source goes into the quote field used last; a quote field with the focus shows where its
// words stand. The server decides whether a quote stands in the source; what is said here is a hint with plain rules.
let source;
let target;
let evened;

export function startQuotes() {
  source = document.getElementById("source");
  const pick = document.getElementById("pick");
  if (!source || !pick) return;
  if (!field()) {
    pick.closest(".js").hidden = true; // nothing here takes a quote
    return;
  }
  document.addEventListener("focusin", (event) => {
    if (event.target.matches?.("[data-quote]")) aim(event.target);
    else if (event.target.closest?.(".quoted")) aim(event.target.closest(".quoted").querySelector("[data-quote]"));
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches?.("[data-quote]")) judge(event.target);
  });
  document.addEventListener("selectionchange", () => (pick.disabled = !(field() && selected())));
  pick.addEventListener("mousedown", (event) => event.preventDefault()); // the selection stays
  pick.addEventListener("click", take);
  source.addEventListener("keydown", select);
  source.addEventListener("mouseup", () => say());
}

function field() {
  if (!target?.isConnected) target = (target && document.getElementById(target.id)) ?? document.querySelector("[data-quote]");
  return target;
}

function aim(quote) {
  target = quote;
  say();
  judge(quote);
}

function say() {
  const of = field() && document.querySelector(`label[for="${CSS.escape(target.id)}"]`)?.textContent.trim();
  document.getElementById("pick-for").textContent = of ? `for ${of}` : "";
}

function selected() {
  const selection = getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return "";
  const range = selection.getRangeAt(0);
  return source.contains(range.commonAncestorContainer) ? range.toString().trim() : "";
}

function take() {
  const words = selected();
  if (!words || !field()) return;
  target.value = words;
  target.dispatchEvent(new Event("input", { bubbles: true }));
  target.focus();
  target.closest("details")?.setAttribute("open", "");
}

// Arrows in the source: words and lines, with Shift they extend; Enter takes what is selected.
function select(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const steps = { ArrowRight: ["forward", "word"], ArrowLeft: ["backward", "word"], ArrowDown: ["forward", "line"], ArrowUp: ["backward", "line"] };
  if (event.key === "Enter" && selected()) {
    event.preventDefault();
    take();
    return;
  }
  const step = steps[event.key];
  if (!step) return;
  event.preventDefault();
  const selection = getSelection();
  if (!selection.rangeCount || !source.contains(selection.anchorNode)) selection.collapse(source, 0);
  if (event.shiftKey) {
    selection.modify("extend", ...step);
  } else {
    if (step[0] === "forward") selection.collapseToEnd();
    else selection.collapseToStart();
    selection.modify("move", ...step);
    if (step[1] === "word" && step[0] === "forward") selection.modify("move", "backward", "word");
    if (step[1] === "word" && step[0] === "forward") selection.modify("move", "forward", "word");
    selection.modify("extend", "forward", step[1] === "line" ? "lineboundary" : "word");
  }
  const focus = selection.focusNode?.parentElement;
  if (focus !== source) focus?.scrollIntoView({ block: "nearest" });
}

function judge(quote) {
  evened ??= plain(source.textContent); // once: a source may be a megabyte
  const text = evened;
  const wanted = plain(quote.value).text.trim();
  const at = wanted ? text.text.indexOf(wanted) : -1;
  const hint = hintOf(quote);
  hint.textContent = !wanted ? "" : at >= 0 ? "✓ stands in the source" : "✕ not found in the source as it is written";
  hint.className = `stands ${at >= 0 ? "yes" : "no"}`;
  show(at < 0 ? null : rangeOf(text.places[at], text.places[at + wanted.length - 1] + 1));
}

function hintOf(quote) {
  const id = `${quote.id}-stands`;
  let hint = document.getElementById(id);
  if (!hint) {
    hint = Object.assign(document.createElement("p"), { id });
    hint.setAttribute("role", "status");
    quote.after(hint);
  }
  return hint;
}

function show(range) {
  if (!CSS.highlights) return;
  CSS.highlights.delete("active-quote");
  if (!range) return;
  CSS.highlights.set("active-quote", new Highlight(range));
  const box = range.getBoundingClientRect();
  const frame = source.getBoundingClientRect();
  if (box.top < frame.top || box.bottom > frame.bottom) source.scrollTop += box.top - frame.top - frame.height / 3;
}

// Case, typographic marks and runs of white space are evened out; each character knows where it came from.
function plain(raw) {
  const characters = [];
  const places = [];
  let spaced = true;
  for (let at = 0; at < raw.length; at += 1) {
    let char = raw[at].toLowerCase();
    if ("\u2018\u2019\u201a\u201b`\u00b4".includes(char)) char = "'";
    if ("\u201c\u201d\u201e\u201f\u00ab\u00bb".includes(char)) char = '"';
    if ("\u2010\u2011\u2012\u2013\u2014\u2212".includes(char)) char = "-";
    if (/\s/.test(char)) {
      if (spaced) continue;
      char = " ";
    }
    spaced = char === " ";
    characters.push(char[0]);
    places.push(at);
  }
  return { text: characters.join(""), places };
}

function rangeOf(start, end) {
  const range = document.createRange();
  const walker = document.createTreeWalker(source, NodeFilter.SHOW_TEXT);
  let passed = 0;
  let started = false;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const next = passed + node.data.length;
    if (!started && start < next) {
      range.setStart(node, start - passed);
      started = true;
    }
    if (started && end <= next) {
      range.setEnd(node, end - passed);
      return range;
    }
    passed = next;
  }
  return null;
}
