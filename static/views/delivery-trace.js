/** "Why did Bob not see it?": the way of an own message in plain words, from `/messages/{id}/trace`. */
import * as api from "../net/api.js";
import { briefTime, exactTime } from "../kit/dates.js";
import { attempt } from "../kit/popovers.js";
import { many } from "./message.js";

const HIDDEN = {
  sendReadReceipts: "Does not tell others what they have read, so you cannot know whether they have seen it.",
  showReadReceipts:
    "You have turned read receipts off in your settings, so you are not shown whether they have seen it.",
};

/** Return what is known of a recipient, in sentences that go on from their name. */
export function sentences({ state, devices, hiddenBy }) {
  const first = (field) =>
    devices
      .map((device) => device[field])
      .filter(Boolean)
      .sort()[0];
  const since = (word, moment) => (moment ? `, ${word} ${briefTime(moment)}` : "");
  const on = devices.length > 1 ? many(devices.length, "device") : "their device";
  const reasons = hiddenBy.flatMap((rule) => HIDDEN[rule] ?? []);
  if (state === "seen") return [`Has seen it${since("first on", first("seenAt"))}.`];
  if (state === "delivered") {
    return [
      `Has it on ${on}${since("since", first("deliveredAt"))}.`,
      ...(reasons.length ? reasons : ["Has not had it on screen yet."]),
    ];
  }
  return ["Has it on no device yet. It waits on the server and is handed over when they next connect.", ...reasons];
}

export class Delivery {
  #dialog;
  #body;
  #store;
  #message = null;

  constructor(dialog, store) {
    this.#dialog = dialog;
    this.#body = dialog.querySelector("[data-part=body]");
    this.#store = store;
    dialog.querySelector("[data-part=more]").addEventListener("click", () => this.#more());
  }

  /** Show the way of an own message. */
  async open(message) {
    this.#message = message;
    const trace = await this.#ask("");
    if (!trace) return;
    const handed = trace.published ? "Everybody has been told of it." : "The server is still telling people of it.";
    this.#body.replaceChildren(
      paragraph(`Stored on ${exactTime(trace.storedAt)}. ${handed}`),
      document.createElement("ul"),
    );
    if (!trace.recipients.length) this.#body.append(paragraph("There was nobody else here when it was sent."));
    this.#add(trace);
    this.#dialog.showModal();
  }

  #ask(query) {
    return attempt(() => api.get(`/messages/${this.#message.id}/trace${query}`));
  }

  #add({ recipients, nextCursor }) {
    const chat = this.#store.chat(this.#message.chatId);
    const list = this.#body.querySelector("ul");
    list.append(...recipients.map((recipient) => recipientItem(recipient, this.#store.nameOf(chat, recipient.userId))));
    const button = this.#dialog.querySelector("[data-part=more]");
    button.hidden = !nextCursor;
    button.value = nextCursor ?? "";
  }

  async #more() {
    const { value } = this.#dialog.querySelector("[data-part=more]");
    const trace = await this.#ask(`?cursor=${encodeURIComponent(value)}`);
    if (trace) this.#add(trace);
  }
}

function recipientItem(recipient, name) {
  const item = document.createElement("li");
  item.dataset.state = recipient.state;
  const heading = Object.assign(document.createElement("h3"), { textContent: name, dir: "auto" });
  item.append(heading, ...sentences(recipient).map(paragraph));
  return item;
}

function paragraph(textContent) {
  return Object.assign(document.createElement("p"), { textContent });
}
