/**
 * A message's files: pictures with their size reserved, players, cards to download, and what stands in for the rest.
 */
import * as api from "../net/api.js";
import { say } from "../kit/popovers.js";
import { sizeOf } from "../kit/sizes.js";

const LONGEST = 320;
export function fillFiles(box, { attachments = [], data, contentType, status }) {
  const listed = status === "deleted" ? [] : attachments;
  box.hidden = listed.length === 0;
  box.replaceChildren(...listed.map((file) => drawn(file, contentType === "voice" ? data : null)));
}

function drawn(file, voice) {
  const [kind] = file.mimeType.split("/");
  if (file.status === "scanning" || file.status === "uploading") return notice(file, "is being checked…");
  if (file.status === "rejected") return notice(file, "was not accepted: it may do harm");
  if (file.status === "expired" || !file.url) return notice(file, "is no longer kept");
  if (kind === "image" && file.thumbnailUrl) return picture(file);
  if (kind === "audio") return sound(file, voice);
  if (kind === "video") return film(file);
  return download(file);
}

function element(name, className, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), { className, ...properties });
  made.append(...children);
  return made;
}

const notice = ({ name, status }, words) =>
  element("p", `file-notice ${status}`, {}, element("bdi", "file-name", { textContent: name }), ` ${words}`);

/** Links hold for minutes, a page for days: each is asked for anew when it is followed. */
function followed(link, { id }) {
  let asked = false;
  link.addEventListener("click", async (event) => {
    if (asked) {
      asked = false;
      return;
    }
    event.preventDefault();
    try {
      link.href = (await api.get(`/attachments/${id}`)).url;
      asked = true;
      link.click();
    } catch (fault) {
      say(fault.message);
    }
  });
  return link;
}

/** As `followed`, for what loads by itself: when that fails, once, and from where it was. */
function loaded(shown, { id }, part) {
  let asked = false;
  for (const name of ["load", "loadeddata"]) {
    shown.addEventListener(name, () => {
      asked = false;
    });
  }
  shown.addEventListener("error", async () => {
    if (asked) return;
    asked = true;
    const { currentTime, paused = true } = shown;
    const fresh = await api
      .get(`/attachments/${id}`)
      .catch((fault) => console.warn("A file has no link:", fault.message));
    if (!fresh?.[part]) return;
    shown.src = fresh[part];
    if (currentTime) shown.currentTime = currentTime;
    if (!paused) shown.play().catch((fault) => console.warn("A file does not play:", fault.message));
  });
  return shown;
}

/** The size is reserved before the picture is here: nothing moves when it comes. */
function picture(file) {
  const { name, url, thumbnailUrl, width, height } = file;
  const scale = Math.min(1, LONGEST / Math.max(width ?? LONGEST, height ?? LONGEST));
  const shot = element("img", "", { src: thumbnailUrl, alt: name, loading: "lazy", decoding: "async" });
  shot.width = Math.max(48, Math.round((width ?? LONGEST) * scale));
  shot.height = Math.max(48, Math.round((height ?? LONGEST) * scale));
  const link = element(
    "a",
    "shot",
    { href: url, target: "_blank", rel: "noopener", title: name },
    loaded(shot, file, "thumbnailUrl"),
  );
  return followed(link, file);
}

function film(file) {
  const player = element("video", "film", { src: file.url, controls: true, preload: "none" });
  player.setAttribute("aria-label", file.name);
  return loaded(player, file, "url");
}

function sound(file, voice) {
  const player = loaded(element("audio", "sound", { src: file.url, controls: true, preload: "none" }), file, "url");
  player.setAttribute("aria-label", voice ? `Voice message, ${length(voice.durationMs)}` : file.name);
  if (!voice) return player;
  const caption = element("span", "voice-length", { textContent: length(voice.durationMs) });
  return element("div", "voice", {}, wave(voice.waveform ?? []), caption, player);
}

function length(durationMs) {
  const seconds = Math.max(1, Math.round(durationMs / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Draw loudness as bars, 48 at most. */
function wave(levels) {
  const space = "http://www.w3.org/2000/svg";
  const count = Math.min(48, levels.length) || 1;
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", `0 0 ${count * 4} 32`);
  svg.setAttribute("class", "wave");
  svg.setAttribute("aria-hidden", "true");
  for (let bar = 0; bar < count; bar += 1) {
    const level = levels[Math.floor((bar * levels.length) / count)] ?? 0;
    const high = Math.max(2, (level / 255) * 30);
    const line = document.createElementNS(space, "rect");
    const shape = { x: bar * 4 + 0.5, y: 16 - high / 2, width: 3, height: high, rx: 1.5 };
    for (const [name, value] of Object.entries(shape)) line.setAttribute(name, value);
    svg.append(line);
  }
  return svg;
}

function download(file) {
  const { name, size, url, mimeType } = file;
  const kind = (name.match(/\.([a-z0-9]{1,5})$/i)?.[1] ?? mimeType.split("/")[1] ?? "file").slice(0, 5);
  const words = element(
    "span",
    "file-words",
    {},
    element("bdi", "file-name", { textContent: name }),
    element("span", "file-size", { textContent: sizeOf(size) }),
  );
  const sign = element("span", "file-sign", { textContent: kind.toUpperCase() });
  sign.setAttribute("aria-hidden", "true");
  return followed(element("a", "file", { href: url, download: name }, sign, words), file);
}
