/**
 * Unsent text of each conversation: in this browser at once, and a little later with the server, for the user's other
 * devices. What this browser has not told yet is not overwritten by what another one said.
 */
import * as api from "../net/api.js";

const PREFIX = "parley.draft";
/** The server is told when nobody has typed for so long. */
const PAUSE = 1000;

export class Drafts {
  #userId;
  #timers = new Map();

  constructor(userId) {
    this.#userId = userId;
  }

  of(chatId) {
    return localStorage.getItem(this.#key(chatId)) ?? "";
  }

  /** Return whose draft a key of the browser's storage is, undefined for none of this user's. */
  chatOf(key) {
    const prefix = this.#key("");
    return key?.startsWith(prefix) ? key.slice(prefix.length) : undefined;
  }

  keep(chatId, text) {
    this.#write(chatId, text);
    localStorage.setItem(this.#untold(chatId), "1");
    this.#soon(chatId, text.trim() ? PAUSE : 0);
  }

  #soon(chatId, pause) {
    clearTimeout(this.#timers.get(chatId));
    this.#timers.set(
      chatId,
      setTimeout(() => this.#tell(chatId), pause),
    );
  }

  /** Take what the server has of another device. Returns whether it says something else than this browser. */
  adopt(chatId, text) {
    if (this.of(chatId).trim() === (text ?? "").trim()) return false;
    if (localStorage.getItem(this.#untold(chatId))) {
      if (!this.#timers.has(chatId)) this.#soon(chatId, PAUSE);
      return false;
    }
    this.#write(chatId, text ?? "");
    return true;
  }

  #write(chatId, text) {
    if (text.trim()) localStorage.setItem(this.#key(chatId), text);
    else localStorage.removeItem(this.#key(chatId));
  }

  async #tell(chatId) {
    const timer = this.#timers.get(chatId);
    const text = this.of(chatId);
    try {
      await api.patch(`/conversations/${chatId}/members/${this.#userId}`, { draft: text.trim() && text });
      if (this.of(chatId) === text) localStorage.removeItem(this.#untold(chatId));
    } catch (fault) {
      console.warn("A draft stays in this browser alone:", fault.message);
    } finally {
      if (this.#timers.get(chatId) === timer) this.#timers.delete(chatId);
    }
  }

  #untold(chatId) {
    return `${PREFIX}-untold.${this.#userId}.${chatId}`;
  }

  #key(chatId) {
    return `${PREFIX}.${this.#userId}.${chatId}`;
  }
}
