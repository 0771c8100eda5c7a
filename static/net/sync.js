/**
 * Gap-fill: sends all watermarks in one `sync.request`, again while there is more, one at a time (protocol 2.4). Every
 * chat is named each time, because the server sends an unnamed one from its start.
 *
 * Events: `done`, when nothing is missing.
 */
import * as api from "./api.js";
import { Emitter } from "../kit/events.js";
import { Disconnected, NoAnswer, Refusal } from "./socket.js";

/** Without both, the response and its ack, within so many ms, one of them is lost. */
const PATIENCE = 15_000;
/** A refused or unanswered sync is asked again after so many ms. */
const PAUSE = 3000;
/** A frame takes 64 KB, the watermarks of some 1,400 chats; more of them go over REST. */
const FRAME = 60_000;

export class Sync extends Emitter {
  static events = "done";
  #socket;
  #store;
  #running = false;
  #wanted = false;
  #response = null;

  constructor(socket, store) {
    super();
    this.#socket = socket;
    this.#store = store;
  }

  /** Fill all gaps. Asked while one runs, it runs once more after it. */
  async run() {
    this.#wanted = true;
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#wanted) await this.#round();
      this.emit("done");
    } catch (fault) {
      // Without a connection the next hello starts over.
      if (!(fault instanceof Disconnected || fault instanceof NoAnswer || fault instanceof Refusal))
        console.error("A sync failed:", fault);
      if (!(fault instanceof Disconnected)) setTimeout(() => this.run(), fault.retryAfter * 1000 || PAUSE);
    } finally {
      this.#running = false;
    }
  }

  /** Take the `sync.response` frame; the ack that belongs to it ends the round. */
  answer(response) {
    this.#response?.resolve(response);
  }

  /** The connection is gone, and with it the answer. */
  stop() {
    this.#response?.reject(new Disconnected());
  }

  async #round() {
    this.#wanted = false;
    const payload = { chats: this.#store.watermarks() };
    const answer = await this.#ask(payload);
    this.#store.applySync(answer, payload.chats);
    if (answer.hasMore || answer.chats.some((chat) => chat.hasMore)) this.#wanted = true;
  }

  async #ask(payload) {
    if (JSON.stringify(payload).length > FRAME) return api.post("/sync", payload);
    const [answer] = await Promise.all([this.#expect(), this.#socket.request("sync.request", payload)]);
    return answer;
  }

  #expect() {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new NoAnswer()), PATIENCE);
      const settle = (how) => (detail) => {
        clearTimeout(timer);
        how(detail);
      };
      this.#response = { resolve: settle(resolve), reject: settle(reject) };
    });
  }
}
