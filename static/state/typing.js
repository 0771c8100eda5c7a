/** Who is typing in which conversation. The server ends each; a fail-safe covers an end that was lost (K3). */
import { Emitter } from "../kit/events.js";

const FAIL_SAFE = 6000;

/** Return the typing line for display names in order and how many more type (F135), empty for nobody. */
export function wording(names, more = 0) {
  if (names.length === 0) return "";
  if (names.length + more > 2) return "Several people are typing…";
  return names.length === 2 ? `${names[0]} and ${names[1]} are typing…` : `${names[0]} is typing…`;
}

export class Typing extends Emitter {
  static events = "change";
  #people = new Map();
  /** In large conversations some are named; so many more type there. */
  #more = new Map();

  /** Take a `typing.indicator` in either form: somebody begins or ends, or how it stands. Emits `change` chatId. */
  apply({ chatId, typists, count, ...one }) {
    if (typists) this.#stand(chatId, typists, count);
    else if (one.active) this.#begin(chatId, one);
    else this.#end(chatId, one.userId);
    this.emit("change", chatId);
  }

  /** Somebody has sent a message, so they type no more; in large conversations their end is told later (F134). */
  sent(chatId, userId) {
    if (this.#in(chatId).has(userId)) this.apply({ chatId, userId, active: false });
  }

  /** The connection is gone: nobody is known to type. */
  clear() {
    for (const chatId of this.#people.keys()) {
      this.#stand(chatId, [], 0);
      this.emit("change", chatId);
    }
  }

  line(chatId) {
    return wording(
      [...this.#in(chatId).values()].map((person) => person.displayName),
      this.#more.get(chatId),
    );
  }

  #begin(chatId, { userId, displayName }) {
    const people = this.#in(chatId);
    clearTimeout(people.get(userId)?.timer);
    const timer = setTimeout(() => this.apply({ chatId, userId, active: false }), FAIL_SAFE);
    people.set(userId, { displayName, timer });
  }

  #stand(chatId, typists, count) {
    for (const userId of [...this.#in(chatId).keys()]) this.#end(chatId, userId);
    for (const typist of typists) this.#begin(chatId, typist);
    this.#more.set(chatId, Math.max(0, count - typists.length));
  }

  #in(chatId) {
    if (!this.#people.has(chatId)) this.#people.set(chatId, new Map());
    return this.#people.get(chatId);
  }

  #end(chatId, userId) {
    clearTimeout(this.#in(chatId).get(userId)?.timer);
    this.#in(chatId).delete(userId);
  }
}
