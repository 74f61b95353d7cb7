// What is painted, as files: one, or all in a zip.

import { at } from "./elements.mjs";
import { Cancelled } from "./engine.mjs";
import { complain, explain, say, showWork } from "./status.mjs";
import { zipped } from "./zip.mjs";

const format = () => at("format").value;

export async function download({ studio, album, settings }) {
  complain("");
  try {
    give(await studio.file(album.chosen, settings(), format()));
  } catch (error) {
    if (!(error instanceof Cancelled)) complain(explain(error));
  }
}

// Of the painter's photographs, all with the settings of now. Promises whether it was not stopped.
export async function downloadAll(painter) {
  const now = painter.settings();
  const inputs = [at("styles"), at("settings"), at("all"), at("choose")];
  Object.assign(painter, { isLent: true, stopped: false });
  for (const input of inputs) input.disabled = true;
  const { files, failed } = await painted(painter, now);
  for (const input of inputs) input.disabled = false;
  painter.isLent = false;
  if (painter.stopped) return false;
  showWork("");
  give({ name: `${now.style.name}.zip`, blob: await zipped(files) });
  say(`${files.length} of ${painter.album.items.length} pictures are in the zip.`);
  complain(failed.join(" "));
  return true;
}

async function painted(painter, now) {
  const { items } = painter.album;
  const files = [];
  const failed = [];
  for (const [place, one] of items.entries()) {
    if (painter.stopped) break;
    showWork(`Painting ${place + 1} of ${items.length}: ${one.name} …`);
    try {
      files.push(unique(await painter.studio.file(one, now, format()), files));
    } catch (error) {
      if (!(error instanceof Cancelled)) failed.push(explain(error));
    }
  }
  return { files, failed };
}

function unique({ name, blob }, files) {
  const [, stem, suffix] = /^(.*)(\.\w+)$/.exec(name);
  let found = name;
  for (let i = 2; files.some((file) => file.name === found); i++) found = `${stem}-${i}${suffix}`;
  return { name: found, blob };
}

function give({ name, blob }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
