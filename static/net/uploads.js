/**
 * Files on their way into a message: whole up to 10 MB, in chunks above, with their progress; after a broken connection
 * an upload goes on where the server has it.
 *
 * Events: `change`.
 */
import * as api from "./api.js";
import { Emitter } from "../kit/events.js";
import { say } from "../kit/popovers.js";
import { sizeOf } from "../kit/sizes.js";

const WHOLE = 10_000_000;
const CHUNK = 4 * 1024 * 1024;
const MOST = 10;
/** Seconds to wait before each new try. */
const PATIENCE = [1, 2, 4, 8, 16, 30];

/** The connection broke: what was sent may or may not have arrived. */
class Broken extends Error {}

export class Uploads extends Emitter {
  static events = "change";
  #tray;
  #template;
  #byChat = new Map();
  #chatId = null;

  /**
   * `tray` shows the files; `template` is one of them; `input` chooses, `field` takes pasted ones, `zone` dropped ones.
   */
  constructor({ tray, template, input, field, zone }) {
    super();
    this.#tray = tray;
    this.#template = template;
    input.addEventListener("change", () => {
      this.add([...input.files]);
      input.value = "";
    });
    field.addEventListener("paste", (event) => {
      const files = [...event.clipboardData.files];
      if (files.length) event.preventDefault();
      this.add(files);
    });
    zone.addEventListener("dragover", (event) => this.#dragged(event, zone));
    zone.addEventListener("dragleave", () => delete zone.dataset.drop);
    zone.addEventListener("drop", (event) => this.#dropped(event, zone));
  }

  open(chatId) {
    this.#chatId = chatId;
    this.#changed();
  }

  get #items() {
    return this.#byChat.get(this.#chatId) ?? [];
  }

  get count() {
    return this.#items.length;
  }

  get busy() {
    return this.#items.some(({ done }) => !done);
  }

  /** Return the files that are uploaded, for a message, and forget them here. */
  take() {
    const files = this.#items.filter(({ done }) => done).map(({ made }) => made);
    this.#byChat.set(this.#chatId, []);
    this.#changed();
    return files;
  }

  add(files) {
    if (this.count + files.length > MOST) return say(`A message takes ${MOST} files.`);
    for (const file of files) this.#begin(file);
  }

  #dragged(event, zone) {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    zone.dataset.drop = "";
  }

  #dropped(event, zone) {
    delete zone.dataset.drop;
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    this.add([...event.dataTransfer.files]);
  }

  async #begin(file) {
    const item = { file, chatId: this.#chatId, sent: 0, done: false, cancelled: false, request: null, made: null };
    item.node = this.#node(item);
    this.#byChat.set(item.chatId, [...this.#items, item]);
    this.#changed();
    try {
      item.made = await upload(item, () => this.#progress(item));
      item.done = true;
      this.#progress(item);
      this.#changed();
    } catch (fault) {
      if (!item.cancelled) say(`${file.name}: ${fault.message}`);
      this.#forget(item);
    }
  }

  #node(item) {
    const node = this.#template.content.firstElementChild.cloneNode(true);
    const { name, size } = item.file;
    node.querySelector("[data-part=name]").textContent = name;
    node.querySelector("[data-part=size]").textContent = sizeOf(size);
    node.querySelector("progress").setAttribute("aria-label", `Upload of ${name}`);
    const cancel = node.querySelector("button");
    cancel.setAttribute("aria-label", `Remove ${name}`);
    cancel.addEventListener("click", () => this.#cancel(item));
    return node;
  }

  #progress({ node, file, sent, done, waiting }) {
    const bar = node.querySelector("progress");
    bar.value = done ? 1 : sent / Math.max(1, file.size);
    bar.hidden = done;
    const state = waiting ? "waiting for the connection" : `${Math.floor(100 * bar.value)} %`;
    node.querySelector("[data-part=size]").textContent = done ? sizeOf(file.size) : `${sizeOf(file.size)}, ${state}`;
  }

  #cancel(item) {
    item.cancelled = true;
    item.request?.abort();
    const id = item.made?.id ?? item.begun?.id;
    // What was begun and never sent is swept by the server all the same.
    if (id)
      api.remove(`/attachments/${id}`).catch((fault) => console.warn("An upload was not cancelled:", fault.message));
    this.#forget(item);
  }

  #forget(item) {
    this.#byChat.set(
      item.chatId,
      (this.#byChat.get(item.chatId) ?? []).filter((other) => other !== item),
    );
    this.#changed();
  }

  #changed() {
    this.#tray.replaceChildren(...this.#items.map(({ node }) => node));
    this.#tray.hidden = this.count === 0;
    this.emit("change");
  }
}

/** Upload one file, however often the connection breaks, as long as something arrives in between. */
async function upload(item, progress) {
  for (let tries = 0; ; tries += 1) {
    const had = item.begun?.received;
    try {
      item.waiting = false;
      return await (item.file.size <= WHOLE ? whole(item, progress) : inChunks(item, progress));
    } catch (fault) {
      const passing = fault instanceof Broken || fault instanceof TypeError || fault.status >= 502;
      if (item.begun?.received > had) tries = 0;
      if (item.cancelled || !passing || tries >= 20) throw fault;
      item.waiting = true;
      progress();
      await connection(PATIENCE[Math.min(tries, PATIENCE.length - 1)]);
      if (item.cancelled) throw fault;
    }
  }
}

/** Wait some seconds, or until the browser says that it is online again. */
function connection(seconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);
    window.addEventListener("online", resolve, { once: true });
  });
}

function whole(item, progress) {
  const form = new FormData();
  form.append("file", item.file, item.file.name);
  return send(item, "POST", "/attachments", form, {}, (loaded) => {
    item.sent = Math.min(loaded, item.file.size);
    progress();
  });
}

async function inChunks(item, progress) {
  const { file } = item;
  let made = item.begun
    ? await api.get(`/attachments/${item.begun.id}`)
    : await api.post("/attachments", { name: file.name, size: file.size, mimeType: file.type || undefined });
  item.begun = made;
  while (made.received < file.size) {
    if (item.cancelled) throw new Broken();
    const from = made.received;
    const to = Math.min(file.size, from + Math.min(CHUNK, made.chunkSize ?? CHUNK));
    const range = {
      "Content-Range": `bytes ${from}-${to - 1}/${file.size}`,
      "Content-Type": "application/octet-stream",
    };
    made = await send(item, "PUT", `/attachments/${made.id}/content`, file.slice(from, to), range, (loaded) => {
      item.sent = from + loaded;
      progress();
    });
    item.begun = made;
  }
  return made;
}

/** Send bytes with their progress, which fetch does not tell. */
function send(item, method, path, body, headers, progress) {
  const request = new XMLHttpRequest();
  item.request = request;
  request.open(method, `/api/v1${path}`);
  request.responseType = "json";
  request.setRequestHeader("X-CSRFToken", api.csrf());
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  request.upload.addEventListener("progress", (event) => progress(event.loaded));
  return new Promise((resolve, reject) => {
    request.addEventListener("load", () => {
      if (request.status < 300) resolve(request.response);
      // Another place to go on at, or a server that is just going away: ask how far it is, and go on.
      else if (request.status === 409 || request.status >= 502) reject(new Broken());
      else reject(new api.Problem(request.status, request.response ?? {}));
    });
    request.addEventListener("error", () => reject(new Broken()));
    request.addEventListener("abort", () => reject(new Broken()));
    request.send(body);
  });
}
