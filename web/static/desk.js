// The desk with JavaScript: keys, quotes picked from the source, heartbeats, changes of the form without a reload.
// Everything here has a way without it; nothing here decides anything.
import { startKeys } from "./desk-keys.js";
import { startLease } from "./desk-lease.js";
import { startQuotes } from "./desk-quotes.js";
import { startForm } from "./desk-form.js";

for (const hidden of document.querySelectorAll(".js[hidden], #show-keys")) hidden.hidden = false;
startKeys();
startLease();
startQuotes();
startForm();
