/** One line that says what is wrong with the connection, what becomes of what is written, and what to do. */

const PATIENCE = 1500;
const SOFT = new Set(["connecting", "waiting"]);
/** What the parts that the server may shed are called. */
const PARTS = {
  typing: "typing indicators",
  receipts: "read marks",
  presence: "presence",
  search: "search",
  media: "files",
};

export class Banners {
  #banner;
  #text;
  #detail;
  #button;
  #outbox;
  #state = { state: "connecting" };
  #degraded = [];
  #lostAt = 0;
  #ticking = null;

  /** `onAct` is called with the state when the button is pressed. */
  constructor(banner, outbox, onAct) {
    this.#banner = banner;
    this.#text = banner.querySelector("[data-part=text]");
    this.#detail = banner.querySelector("[data-part=detail]");
    this.#button = banner.querySelector("button");
    this.#outbox = outbox;
    this.#button.addEventListener("click", () => onAct(this.#state.state));
  }

  /** Take the connection's state. */
  connection(state) {
    this.#lostAt = state.state === "open" ? 0 : this.#lostAt || Date.now();
    this.#state = state;
    clearInterval(this.#ticking);
    if (SOFT.has(state.state)) this.#ticking = setInterval(() => this.draw(), 500);
    this.draw();
  }

  /** Take the list of what the server cannot do just now. */
  degraded(parts) {
    this.#degraded = parts;
    this.draw();
  }

  draw() {
    const { state } = this.#state;
    const [text, button] = this.#wording(state);
    // A connection that is back at once is not worth a word; its first opening is none either.
    const brief = SOFT.has(state) && Date.now() - this.#lostAt < PATIENCE;
    this.#banner.hidden = !text || (brief && this.#banner.hidden);
    this.#banner.dataset.state = state;
    if (this.#text.textContent !== text) this.#text.textContent = text;
    this.#detail.textContent = this.#details(state);
    this.#button.hidden = !button;
    this.#button.textContent = button;
  }

  #wording(state) {
    return {
      open: [this.#degraded.length ? "Some parts of Parley are not working just now." : "", ""],
      connecting: ["Connection issues", ""],
      waiting: ["Connection issues", "Try now"],
      offline: ["You're offline. Messages will be sent when you reconnect.", ""],
      replaced: ["Parley is open in too many places, and this one was disconnected.", "Use it here"],
      outdated: ["A new version of Parley is here.", "Reload"],
      ended: ["You have been signed out.", "Sign in"],
    }[state];
  }

  #details(state) {
    const waiting = this.#outbox.waiting;
    const queue = waiting ? `${waiting} ${waiting === 1 ? "message" : "messages"} waiting.` : "";
    if (state === "connecting") return `Connecting… ${queue}`.trim();
    if (state === "open") return this.#late();
    if (state !== "waiting") return queue;
    const seconds = Math.max(0, Math.ceil((this.#state.retryAt - Date.now()) / 1000));
    return `Trying again in ${seconds} s. ${queue}`.trim();
  }

  #late() {
    const names = this.#degraded.map((part) => PARTS[part] ?? part);
    return names.length ? `Messages arrive. Late or missing: ${names.join(", ")}.` : "";
  }
}
