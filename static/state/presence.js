/**
 * Who is here: the states of the people on screen, by subscription (protocol 2.2), and the state that the user has
 * chosen. `views/presence-indicators.js` shows them; whom it shows is whom this subscribes to.
 */
import { Refusal } from "../net/socket.js";
import { throttle } from "../kit/events.js";

/** So many people one connection may watch; a subscription ends after ten minutes (F148, F149). */
const MOST = 100;
const RENEW = 8 * 60_000;
const GATHER = 200;
/** "5 minutes ago" goes on by itself. */
const REDRAW = 30_000;
/** Without a connection what was known stands for so long (F152). */
const STALE = 30_000;
/** Who reads without sending anything says that they are there once in so long; who was away says so at once (F142). */
const SIGN_EVERY = 60_000;
const RETURN_EVERY = 10_000;
const SIGNS = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"];

export class Presence {
  #socket;
  #me;
  #states = new Map();
  #shown = new Set();
  #subscribed = new Set();
  #signed = -Infinity;
  #stale = null;
  #gather = throttle(() => this.#follow(), GATHER);
  #ask = throttle(() => this.renew(), RETURN_EVERY);

  constructor(socket, me) {
    this.#socket = socket;
    this.#me = me;
    setInterval(() => this.renew(), RENEW);
    setInterval(() => this.#draw(), REDRAW);
    for (const name of SIGNS) document.addEventListener(name, () => this.#sign(), { passive: true, capture: true });
  }

  /** Return what is known of somebody, `{status, lastSeen?, asOf?}`; undefined for nothing. */
  of(userId) {
    return this.#states.get(userId);
  }

  /** Show somebody's state in an element that has `users` and `draw()`, or no more. */
  enter(element) {
    this.#shown.add(element);
    this.touched(element);
  }

  leave(element) {
    this.#shown.delete(element);
    this.#gather();
  }

  /** An element shows somebody else now. */
  touched(element) {
    element.draw();
    this.#gather();
  }

  // --- what the server tells -----------------------------------------------------------------------------------------

  /** Take the states of `presence.changed`, or of a subscription; those of a sync are of people whom nobody watches. */
  take(states) {
    const changed = new Set();
    for (const { userId, ...state } of states) {
      this.#states.set(userId, state);
      changed.add(userId);
    }
    this.#draw(changed);
  }

  /**
   * The connection stands again: what it watched is asked anew, and what was chosen is said again where it was lost.
   */
  greeted({ resumed }) {
    clearTimeout(this.#stale);
    this.#stale = null;
    if (!resumed && this.chosen !== "available") this.#socket.send("presence.update", { status: this.chosen });
    this.renew();
  }

  /** The connection is gone: soon nothing is known any more. */
  lost() {
    this.#stale ??= setTimeout(() => {
      this.#states.clear();
      this.#draw();
    }, STALE);
  }

  /** Somebody writes who seemed to be gone: a first message lets one know more of its sender. */
  heard(userId) {
    if (this.#states.get(userId)?.status === "offline") this.#ask();
  }

  /** Subscribe to everybody on screen again. */
  renew() {
    this.#follow({ all: true });
  }

  async #follow({ all = false } = {}) {
    if (this.#socket.state !== "open") return;
    const wanted = this.#wanted();
    const gone = [...this.#subscribed.difference(wanted)];
    const asked = [...(all ? wanted : wanted.difference(this.#subscribed))];
    this.#subscribed = wanted;
    if (gone.length) this.#socket.send("presence.unsubscribe", { userIds: gone });
    if (!asked.length) return;
    try {
      this.take((await this.#socket.request("presence.subscribe", { userIds: asked })).presence);
    } catch (fault) {
      for (const userId of asked) this.#subscribed.delete(userId);
      if (fault instanceof Refusal) console.warn("Presence is not told:", fault.message);
    }
  }

  /** Who is on screen, the open conversation's people first. */
  #wanted() {
    const near = (element) => (element.closest(".conversation, .rail") ? 0 : 1);
    const visible = [...this.#shown].filter((element) => !element.closest("[hidden]"));
    const order = (a, b) =>
      near(a) - near(b) || (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1);
    return new Set(
      visible
        .sort(order)
        .flatMap(({ users }) => users)
        .slice(0, MOST),
    );
  }

  #draw(changed = null) {
    for (const element of this.#shown)
      if (!changed || element.users.some((userId) => changed.has(userId))) element.draw();
  }

  // --- the user's own state ------------------------------------------------------------------------------------------

  /** What was chosen in this browser; every tab of it is the same device. */
  get chosen() {
    return localStorage.getItem(`parley-presence:${this.#me}`) ?? "available";
  }

  /** Choose a state; `available` leaves it to activity again. Throws Refusal, Disconnected, NoAnswer. */
  async choose(status) {
    await this.#socket.request("presence.update", { status });
    localStorage.setItem(`parley-presence:${this.#me}`, status);
    this.#signed = performance.now();
    this.take([{ userId: this.#me, status }]);
  }

  /** There is a person here. */
  #sign() {
    const away = this.#states.get(this.#me)?.status === "away";
    const since = performance.now() - this.#signed;
    if (since < (away ? RETURN_EVERY : SIGN_EVERY) || this.chosen !== "available") return;
    if (this.#socket.send("presence.update", { status: "available" })) this.#signed = performance.now();
  }
}
