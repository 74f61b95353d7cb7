// What the page says: how far it is, and what went wrong, in a sentence.

import { at } from "./elements.mjs";
import { Told } from "./pictures.mjs";

export function say(text) {
  at("status").textContent = text;
}

export function complain(text) {
  at("error").hidden = !text;
  at("error").textContent = text;
}

export function explain(error) {
  if (error instanceof Told) return error.message;
  if (typeof WebAssembly !== "object") return "This browser has no WebAssembly, which computes here.";
  if (/memory|allocat|out of bounds|bad_alloc/i.test(error.message)) {
    return "The browser’s memory did not suffice for this picture; take a smaller one.";
  }
  return `It did not work: ${error.message.slice(0, 160)}`;
}

// What is under the picture until the next one, or nothing.
export function note(text) {
  at("note").hidden = !text;
  at("note").textContent = text;
}

// Work that can be stopped goes on, or none does.
export function showWork(text) {
  at("progress").hidden = !text;
  showStop(Boolean(text));
  if (text) say(text);
}

export function showStop(shown) {
  at("cancel").hidden = !shown;
  at("cancel").textContent = "Stop";
}

const AGAIN = "Start again";

export function offerAgain() {
  at("cancel").hidden = false;
  at("cancel").textContent = AGAIN;
  at("cancel").focus();
}

export function isAgainOffered() {
  return at("cancel").textContent === AGAIN;
}
