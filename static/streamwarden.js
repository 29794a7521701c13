/* Behaviour that HTML and htmx do not provide. Every page works without this file.

   Texts come from data attributes of the page, so that Django translates them. */
"use strict";

document.addEventListener("htmx:afterSwap", (event) => {
  const dialog = event.detail.target?.id === "dialog" && event.detail.target.querySelector("dialog");
  if (dialog) dialog.showModal();
});

// Hide the dialog or message that sends a change at once; the switch shows that the change is in progress. The hidden
// element stays in the page until the response: htmx drops a response to a form that is no longer in the page.
function hideSender(form, toggle) {
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
  hideSender(elt, toggle);
  toggle?.setAttribute("aria-busy", "true");
});
document.addEventListener("htmx:afterRequest", (event) => {
  toggleOf(event.detail.target)?.removeAttribute("aria-busy");
  const holder = event.detail.elt.matches("[data-leaves]") && event.detail.elt.closest("dialog, .toast-note");
  if (holder) queueMicrotask(() => holder.remove()); // after the other handlers of htmx
});

// Ignore the response to a request of a table that was replaced: its rows are gone.
document.addEventListener("htmx:beforeCleanupElement", (event) => {
  if (!event.target.matches?.("[hx-swap=none]")) return;
  event.target.addEventListener("htmx:beforeSwap", (swap) => (swap.detail.shouldSwap = false));
});

// Back and Forward in quick succession request several pages. Only the last one belongs to the address.
let restoring = null;
document.addEventListener("htmx:historyCacheMiss", (event) => {
  restoring?.abort();
  restoring = event.detail.xhr;
});

document.addEventListener("htmx:sendError", () => {
  const problem = document.getElementById("problem");
  problem.replaceChildren(document.createElement("p"));
  problem.firstChild.className = "alert alert-danger";
  problem.firstChild.textContent = document.body.dataset.noResponse;
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close]")) event.target.closest(".toast-note").remove();
});

// Close a menu with Escape, which returns the focus to its button, or with a click elsewhere.
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

// The edit form: mark the fields whose value differs from the value shown at first, and count them.
function isChanged(field) {
  return "seen" in field.dataset && field.value !== field.dataset.seen.replaceAll("\r\n", "\n");
}

function countChanges(form) {
  const fields = [...form.elements].filter((field) => field.willValidate && field.name);
  const changed = fields.filter(isChanged);
  fields.forEach((field) => field.toggleAttribute("data-changed", changed.includes(field)));
  const wrong = new Set(fields.filter((field) => !field.validity.valid).map((field) => field.name)).size;
  showCount(form.querySelector("[data-change-count]"), changed.length);
  showCount(form.querySelector("[data-error-count]"), wrong);
}

// Show a number in the page's language: `data-zero`, or the plural form that the language has for the number.
function showCount(output, count) {
  const { zero, other, ...forms } = output.dataset;
  const plural = new Intl.PluralRules(document.documentElement.lang).select(count);
  output.textContent = count ? (forms[plural] ?? other).replace("{count}", count) : zero;
}

// Show the browser's message beside an invalid field when the person leaves it. The server checks every field again.
function validate(field) {
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
  if (event.target.matches(".is-invalid")) validate(event.target);
});

// A message that appears or disappears moves the elements below it. While the pointer is pressed, that would move the
// button away from the pointer, and the click would be lost. So a field that loses focus to a press is validated later.
let isPressed = false;
document.addEventListener("pointerdown", () => (isPressed = true));
["pointerup", "pointercancel"].forEach((end) => document.addEventListener(end, () => (isPressed = false)));

document.addEventListener("focusout", ({ target }) => {
  if (!target.form?.matches("[data-counts-changes]")) return;
  if (!isPressed) return validate(target);
  const end = new AbortController();
  const validateAfterTheClick = () => {
    end.abort();
    setTimeout(() => validate(target));
  };
  ["pointerup", "pointercancel"].forEach((kind) =>
    document.addEventListener(kind, validateAfterTheClick, { signal: end.signal }),
  );
});
document.addEventListener("htmx:load", (event) => {
  const form = event.detail.elt.matches?.("[data-counts-changes]") && event.detail.elt;
  if (form) countChanges(form);
});
document.querySelectorAll("[data-counts-changes]").forEach(countChanges);

// The image picker: choosing an image fills in its type, id and product, and raises the minimum of the disk size.
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
  validate(disk);
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

// Only a Marketplace image has a product. For others the field is disabled, unless it holds a value to clear.
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

// Mark the options of the disk types that the cloud does not offer here, or that are sold out.
function markDiskTypes(offered) {
  const types = new Map([...offered.querySelectorAll("[data-type]")].map((one) => [one.dataset.type, one.dataset.soldOut]));
  for (const option of document.getElementById("id_system_disk_type")?.options ?? []) {
    const label = types.has(option.value) ? types.get(option.value) : offered.dataset.notOffered;
    if (label) option.text = label.replace("{name}", option.text);
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
  document.getElementById("live").textContent = document.body.dataset.copied;
});

// The server writes times in UTC. Show them in the reader's time zone, with UTC on hover.
const LOCAL_FORMS = {
  "": { dateStyle: "medium", timeStyle: "medium" },
  time: { timeStyle: "short" },
  day: { day: "numeric", month: "short" },
};
function showLocalTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-read])")) {
    const at = new Date(time.dateTime);
    const utc = time.title || time.textContent;
    time.dataset.read = "";
    const { local } = time.dataset;
    if (local !== undefined) time.textContent = at.toLocaleString([], LOCAL_FORMS[local]);
    time.title = local === "" ? utc : `${at.toLocaleString([], LOCAL_FORMS[""])} (${utc})`;
  }
}
document.addEventListener("htmx:load", (event) => showLocalTimes(event.detail.elt));
showLocalTimes(document);
