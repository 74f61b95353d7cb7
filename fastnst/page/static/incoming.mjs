// Files come to the page: chosen, pasted, or dropped anywhere on it.

import { at } from "./elements.mjs";

// `take` gets each time all files that came.
export function listenToFiles(take) {
  for (const [button, input] of [["choose", "files"], ["add", "model"]]) {
    at(button).addEventListener("click", () => at(input).click());
    at(input).addEventListener("change", ({ target }) => {
      const files = [...target.files];
      target.value = "";
      take(files);
    });
  }
  document.addEventListener("paste", ({ clipboardData }) => {
    if (clipboardData?.files.length) take([...clipboardData.files]);
  });
  listenToDrops(take);
}

function listenToDrops(take) {
  let depth = 0;
  const over = (change) => (event) => {
    event.preventDefault();
    depth = Math.max(0, depth + change);
    at("dropping").hidden = depth === 0;
  };
  document.addEventListener("dragenter", over(1));
  document.addEventListener("dragleave", over(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    over(-Infinity)(event);
    if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
  });
}
