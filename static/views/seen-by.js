/**
 * Who has seen a message, asked of the server when somebody wants to know: names as far as the conversation lists them.
 */
import * as api from "../net/api.js";
import { exactTime, listTime } from "../kit/dates.js";
import { openBeside } from "../kit/popovers.js";
import { initial } from "./message.js";

export class Readers {
  #layer;
  #store;
  #asked = null;

  /** `layer` is a popover with a title and a body. */
  constructor(layer, store) {
    this.#layer = layer;
    this.#store = store;
  }

  /** Show who has seen a message, beside `anchor`. Escape leads back to where the focus was. */
  async open(message, anchor) {
    this.#asked = message.id;
    this.#fill("Who has seen it", [paragraph("Loading…")]);
    openBeside(this.#layer, anchor);
    this.#layer.focus();
    const shown = await this.#load(message);
    if (this.#asked !== message.id || !this.#layer.matches(":popover-open")) return;
    this.#fill(...shown);
    openBeside(this.#layer, anchor);
    this.#layer.focus();
  }

  #fill(title, body) {
    this.#layer.querySelector("[data-part=title]").textContent = title;
    this.#layer.querySelector("[data-part=body]").replaceChildren(...body);
  }

  /** Return the title and the elements below it. */
  async #load({ id, chatId }) {
    try {
      const [state, page] = await Promise.all([
        api.get(`/messages/${id}/delivery-state`),
        api.get(`/messages/${id}/receipts`),
      ]);
      return this.#told(this.#store.chat(chatId), state, page);
    } catch (fault) {
      const known = fault.name !== "TypeError" && fault.message;
      return ["Who has seen it", [paragraph(known || "That needs a connection. Try again.")]];
    }
  }

  #told(chat, { counts, readBy, deliveredTo }, { named, results }) {
    const title = `Seen by ${counts.seen} of ${counts.recipients}`;
    if (!named)
      return [title, [paragraph(`Delivered to ${counts.delivered}.`), paragraph("This conversation lists no names.")]];
    const waiting = deliveredTo.filter((userId) => !readBy.includes(userId));
    return [
      title,
      [
        ...this.#people(chat, "Seen", readBy, times(results, "seen")),
        ...this.#people(chat, "Delivered", waiting, times(results, "delivered")),
        ...(readBy.length || waiting.length ? [] : [paragraph("It has reached nobody yet.")]),
      ],
    ];
  }

  #people(chat, heading, userIds, moments) {
    if (!userIds.length) return [];
    const title = Object.assign(document.createElement("h3"), { textContent: heading });
    const list = document.createElement("ul");
    list.append(...userIds.map((userId) => person(userId, this.#store.nameOf(chat, userId), moments.get(userId))));
    return [title, list];
  }
}

/** Return when each recipient's first device reported a state, by user id. */
function times(results, state) {
  const found = new Map();
  for (const { recipientId, timestamp, ...receipt } of results) {
    if (receipt.state === state && !(found.get(recipientId) <= timestamp)) found.set(recipientId, timestamp);
  }
  return found;
}

function person(userId, name, moment) {
  const item = document.createElement("li");
  const face = Object.assign(document.createElement("span"), { className: "avatar small", textContent: initial(name) });
  face.dataset.tone = userId;
  face.setAttribute("aria-hidden", "true");
  item.append(face, Object.assign(document.createElement("bdi"), { textContent: name }));
  const words = moment && { dateTime: moment, textContent: listTime(moment), title: exactTime(moment) };
  if (words) item.append(Object.assign(document.createElement("time"), words));
  return item;
}

const paragraph = (textContent) => Object.assign(document.createElement("p"), { textContent });
