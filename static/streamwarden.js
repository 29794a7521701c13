/* What HTML and htmx cannot do alone. Every page works without this file. */
"use strict";

document.addEventListener("htmx:afterSwap", (event) => {
  const dialog = event.detail.target?.id === "dialog" && event.detail.target.querySelector("dialog");
  if (dialog) dialog.showModal();
});

// What has asked for a change goes at once, and the switch shows that the change is on its way. It stays in the page,
// out of sight, until the answer has come: htmx could not place an answer to a form that the next dialog has replaced.
function leave(form, toggle) {
  const holder = form.matches("[data-leaves]") && form.closest("dialog, .toast-note");
  if (!holder) return;
  if (holder.matches("dialog")) holder.close();
  else toggle?.focus();
  holder.hidden = true;
  holder.querySelectorAll("[id]").forEach((one) => one.removeAttribute("id"));
  document.body.append(holder);
}

const toggleOf = (form) => (form.matches?.(".switch-form") ? form.querySelector("[role=switch]") : null);

document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt, target } = event.detail;
  if (toggleOf(elt)?.ariaBusy) return event.preventDefault();
  const toggle = toggleOf(target);
  leave(elt, toggle);
  toggle?.setAttribute("aria-busy", "true");
});
document.addEventListener("htmx:afterRequest", (event) => {
  toggleOf(event.detail.target)?.removeAttribute("aria-busy");
  const holder = event.detail.elt.matches("[data-leaves]") && event.detail.elt.closest("dialog, .toast-note");
  if (holder) queueMicrotask(() => holder.remove()); // after htmx has told the rest
});

// A table that goes takes its own question along: the answer would find no rows.
document.addEventListener("htmx:beforeCleanupElement", (event) => {
  if (!event.target.matches?.("[hx-swap=none]")) return;
  event.target.addEventListener("htmx:beforeSwap", (late) => (late.detail.shouldSwap = false));
});

// Back and Forward in quick succession ask for several pages; only the last one is the page of the address.
let restoring = null;
document.addEventListener("htmx:historyCacheMiss", (event) => {
  restoring?.abort();
  restoring = event.detail.xhr;
});

document.addEventListener("htmx:sendError", () => {
  const problem = document.getElementById("problem");
  problem.replaceChildren(document.createElement("p"));
  problem.firstChild.className = "alert alert-danger";
  problem.firstChild.textContent = "This dashboard does not answer. Reload the page before trying again.";
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close]")) event.target.closest(".toast-note").remove();
});

// A menu closes with Escape, which leads back to what opened it, and with a click elsewhere.
const menus = () => document.querySelectorAll("details[open]:is(.me, .menu-holder)");

document.addEventListener("click", (event) => {
  menus().forEach((menu) => (menu.open = menu.contains(event.target)));
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  menus().forEach((menu) => {
    menu.open = false;
    menu.querySelector("summary").focus();
  });
});

// The edit form: mark what differs from what was shown, and count it.
function isChanged(field) {
  return "seen" in field.dataset && field.value !== field.dataset.seen.replaceAll("\r\n", "\n");
}

function countChanges(form) {
  const fields = [...form.elements].filter((field) => field.willValidate && field.name);
  const changed = fields.filter(isChanged);
  fields.forEach((field) => field.toggleAttribute("data-changed", changed.includes(field)));
  const wrong = new Set(fields.filter((field) => !field.validity.valid).map((field) => field.name)).size;
  const words = changed.length === 1 ? "1 change" : `${changed.length} changes`;
  form.querySelector("[data-change-count]").textContent =
    (changed.length ? words : "Nothing changed yet") + (wrong ? `, ${wrong} to correct` : "");
}

// A message beside the field as one leaves it; the server says the same again.
function judge(field) {
  if (!field.willValidate || !field.id) return;
  const holder = field.closest(".mb-3");
  if (!holder) return;
  holder.querySelectorAll("[data-live]").forEach((old) => old.remove());
  field.classList.toggle("is-invalid", !field.validity.valid);
  if (field.validity.valid) {
    field.removeAttribute("aria-invalid");
    holder.querySelectorAll(".invalid-feedback").forEach((old) => old.remove());
    return;
  }
  field.setAttribute("aria-invalid", "true");
  const message = document.createElement("p");
  message.className = "field-problem";
  message.dataset.live = "";
  message.textContent = (field.validity.patternMismatch && field.title) || field.validationMessage;
  holder.append(message);
}

document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (!form?.matches("[data-counts-changes]")) return;
  countChanges(form);
  if (event.target.matches(".is-invalid")) judge(event.target);
});

// A message that comes or goes moves what stands below it. While a button is pressed that would carry the target away
// from under the pointer and the click would be lost, so a field left by a press is judged when the press has ended.
let isPressed = false;
document.addEventListener("pointerdown", () => (isPressed = true));
["pointerup", "pointercancel"].forEach((end) => document.addEventListener(end, () => (isPressed = false)));

document.addEventListener("focusout", ({ target }) => {
  if (!target.form?.matches("[data-counts-changes]")) return;
  if (!isPressed) return judge(target);
  const end = new AbortController();
  const judgeAfterTheClick = () => {
    end.abort();
    setTimeout(() => judge(target));
  };
  ["pointerup", "pointercancel"].forEach((kind) =>
    document.addEventListener(kind, judgeAfterTheClick, { signal: end.signal }),
  );
});
document.addEventListener("htmx:load", (event) => {
  const form = event.detail.elt.matches?.("[data-counts-changes]") && event.detail.elt;
  if (form) countChanges(form);
});
document.querySelectorAll("[data-counts-changes]").forEach(countChanges);

// The image picker: choosing an image fills type, id and product, and raises the disk's minimum.
function fill(id, text) {
  const field = document.getElementById(id);
  field.disabled = false;
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function chooseImage({ imageId, imageType, productId, minDisk }) {
  fill("id_image_type", imageType);
  fill("id_image_id", imageId);
  fill("id_image_product_id", productId);
  const disk = document.getElementById("id_system_disk_size");
  disk.min = Math.max(10, Number(minDisk) || 0);
  fitProduct();
  judge(disk);
  countChanges(disk.form);
}

document.addEventListener("click", (event) => {
  const image = event.target.closest("[data-image-id]");
  if (!image) return;
  chooseImage(image.dataset);
  const picker = image.closest("[data-picker]");
  picker.open = false;
  picker.querySelector("summary").focus();
});

document.addEventListener("input", (event) => {
  if (!event.target.matches("[data-picker-search]")) return;
  const picker = event.target.closest("[data-picker]");
  const words = event.target.value.toLowerCase().split(/\s+/);
  const items = [...picker.querySelectorAll("li")];
  items.forEach((item) => (item.hidden = !words.every((word) => item.textContent.toLowerCase().includes(word))));
  picker.querySelector("[data-picker-none]").hidden = items.some((item) => !item.hidden);
});

// Only a Marketplace image has a product: the field is off for the others, unless there is something to clear.
function fitProduct() {
  const type = document.getElementById("id_image_type");
  const product = document.getElementById("id_image_product_id");
  if (!type || !product) return;
  product.disabled = type.value !== "gold" && product.value === product.dataset.seen && !product.value;
  product.required = type.value === "gold" && (isChanged(type) || isChanged(product));
}
document.addEventListener("change", (event) => {
  if (event.target.id === "id_image_type") fitProduct();
});

// Disk types that are not offered here, or sold out, say so in the list itself.
function markDiskTypes(offered) {
  const types = new Map([...offered.querySelectorAll("[data-type]")].map((one) => [one.dataset.type, one.dataset.soldOut]));
  for (const option of document.getElementById("id_system_disk_type")?.options ?? []) {
    if (!types.has(option.value)) option.text += " (not offered here)";
    else if (types.get(option.value)) option.text += ` (sold out in ${types.get(option.value)})`;
  }
}

function prepare(part) {
  part.querySelectorAll("[data-copy]").forEach((button) => (button.hidden = !navigator.clipboard));
  part.querySelectorAll("[data-disk-types]").forEach(markDiskTypes);
  fitProduct();
}
document.addEventListener("htmx:load", (event) => prepare(event.detail.elt.parentElement ?? document));

document.addEventListener("click", async (event) => {
  if (!event.target.matches("[data-copy]")) return;
  await navigator.clipboard.writeText(event.target.previousElementSibling.textContent);
  document.getElementById("live").textContent = "Copied";
});

// Times are written in UTC; here they are read in the reader's own zone, with UTC on hover.
function showLocalTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-read])")) {
    const local = new Date(time.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
    const utc = time.title || time.textContent;
    time.dataset.read = "";
    if ("local" in time.dataset) time.textContent = local;
    time.title = "local" in time.dataset ? utc : `${local} (${utc})`;
  }
}
document.addEventListener("htmx:load", (event) => showLocalTimes(event.detail.elt));
showLocalTimes(document);
