/* What HTML and htmx cannot do alone. Every page works without this file. */
"use strict";

document.addEventListener("htmx:afterSwap", (event) => {
  const dialog = event.detail.target.id === "dialog" && event.detail.target.querySelector("dialog");
  if (dialog) dialog.showModal();
});

// A confirmed dialog closes at once; the switch behind it shows that the change is on its way.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.elt.matches("[data-closes-dialog]")) event.detail.elt.closest("dialog")?.close();
  event.detail.target.querySelector?.("[role=switch]")?.setAttribute("aria-busy", "true");
});
document.addEventListener("htmx:afterRequest", (event) => {
  event.detail.target.querySelector?.("[role=switch]")?.removeAttribute("aria-busy");
});

// A table that goes takes its own question along: the answer would find no rows.
document.addEventListener("htmx:beforeCleanupElement", (event) => {
  if (event.target.matches?.("[hx-swap=none]")) htmx.trigger(event.target, "htmx:abort");
});

document.addEventListener("htmx:sendError", () => {
  const problem = document.getElementById("problem");
  problem.replaceChildren(document.createElement("p"));
  problem.firstChild.className = "notice notice-error";
  problem.firstChild.textContent = "This dashboard does not answer. Reload the page before trying again.";
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close]")) event.target.closest(".toast-note").remove();
});

// The edit form: mark what differs from what was shown, and count it.
function isChanged(field) {
  return "seen" in field.dataset && field.value !== field.dataset.seen.replaceAll("\r\n", "\n");
}

function countChanges(form) {
  const fields = [...form.elements].filter((field) => field.willValidate && field.name);
  const changed = fields.filter(isChanged);
  fields.forEach((field) => field.toggleAttribute("data-changed", changed.includes(field)));
  const wrong = fields.filter((field) => !field.validity.valid).length;
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
  if (form?.matches("[data-counts-changes]")) countChanges(form);
});
document.addEventListener("focusout", (event) => {
  if (event.target.form?.matches("[data-counts-changes]")) judge(event.target);
});
document.addEventListener("htmx:load", (event) => {
  const form = event.detail.elt.matches?.("[data-counts-changes]") && event.detail.elt;
  if (form) countChanges(form);
});
document.querySelectorAll("[data-counts-changes]").forEach(countChanges);
