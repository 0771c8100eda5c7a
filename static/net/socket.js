/**
 * The connection: handshake, heartbeat, backoff, resume, and requests that wait for their ack (protocol 1, 2 and 2.8).
 * Knows frames' envelopes, not their meaning.
 *
 * Events: `state` {state, retryAt}, `hello` payload, `frame` {type, payload}.
 * States: connecting, open, waiting (to reconnect), offline (the browser says so), replaced (too many connections),
 * outdated (this page is too old), ended (signed out).
 */
import { Emitter } from "../kit/events.js";
import { uuid } from "../kit/ids.js";

const BACKOFF = [1, 2, 4, 8, 16, 30];
const FINAL = { 4401: "ended", 4409: "replaced", 4426: "outdated" };
const PONG_WITHIN = 10_000;
const HELLO_WITHIN = 15_000;

/** An ack with an error: `code` is one of protocol 2.6, `retryAfter` seconds where the server gives them. */
export class Refusal extends Error {
  constructor({ code, message, retryAfter, field }) {
    super(message);
    Object.assign(this, { code, retryAfter, field });
  }
}

/** The connection went away, or was not there, before the ack. */
export class Disconnected extends Error {}

/** No ack came in time; the connection still stands. */
export class NoAnswer extends Error {}

export class Socket extends Emitter {
  static events = "frame hello state";
  state = "connecting";
  retryAt = null;
  #url;
  #signedIn;
  #ws = null;
  #asked = new Map();
  #failures = 0;
  #resumeToken = null;
  #retry = null;
  #heartbeat = null;
  #silence = null;

  /**
   * `url` is the socket's address; `signedIn()` tells whether the session still stands, asked after a failed handshake.
   */
  constructor(url, signedIn) {
    super();
    this.#url = url;
    this.#signedIn = signedIn;
    window.addEventListener("offline", () => this.#over || this.#goOffline());
    window.addEventListener("online", () => this.#over || this.reconnect());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#awake());
  }

  /** Connect now, whatever the backoff says. */
  reconnect() {
    if (this.state === "open" || this.#ws) return;
    if (!navigator.onLine) return this.#enter("offline");
    this.#connect();
  }

  /**
   * Another window is open, this page is too old, or nobody is signed in: only somebody who asks for it connects again.
   */
  get #over() {
    return Object.values(FINAL).includes(this.state);
  }

  /** Send a frame that has no ack. Returns whether it went out. */
  send(type, payload) {
    return this.#write(type, payload, uuid());
  }

  /**
   * Send a frame and return its ack's payload. `id` is the frame's id. Throws Refusal, Disconnected, or NoAnswer after
   * `timeout` ms.
   */
  request(type, payload, { id = uuid(), timeout = 15_000 } = {}) {
    return new Promise((resolve, reject) => {
      if (!this.#write(type, payload, id)) return reject(new Disconnected());
      const timer = setTimeout(() => this.#settle(id)?.reject(new NoAnswer()), timeout);
      this.#asked.set(id, { resolve, reject, timer });
    });
  }

  #write(type, payload, id) {
    if (this.#ws?.readyState !== WebSocket.OPEN || this.state !== "open") return false;
    this.#ws.send(JSON.stringify({ type, id, timestamp: new Date().toISOString(), payload }));
    return true;
  }

  #connect() {
    clearTimeout(this.#retry);
    const url = this.#resumeToken ? `${this.#url}?resume=${encodeURIComponent(this.#resumeToken)}` : this.#url;
    const ws = new WebSocket(url, "parley.v1");
    this.#ws = ws;
    this.#enter("connecting");
    this.#expect(HELLO_WITHIN);
    ws.addEventListener("message", (event) => ws === this.#ws && this.#receive(JSON.parse(event.data)));
    ws.addEventListener("close", (event) => ws === this.#ws && this.#lost(event.code, event.reason));
  }

  #receive({ type, payload }) {
    clearTimeout(this.#silence);
    if (type === "hello") return this.#greet(payload);
    if (type === "ack") return this.#answer(payload);
    if (type === "error" && payload.refId) this.#settle(payload.refId)?.reject(new Refusal(payload));
    if (type !== "pong") this.emit("frame", { type, payload });
  }

  #greet(hello) {
    this.#failures = 0;
    this.#resumeToken = hello.resumeToken;
    this.#heartbeat = setInterval(() => this.#ping(), hello.heartbeatInterval * 1000);
    this.#enter("open");
    this.emit("hello", hello);
  }

  #answer({ refId, status, error, ...result }) {
    const asked = this.#settle(refId);
    if (status === "ok") asked?.resolve(result);
    else asked?.reject(new Refusal(error));
  }

  #settle(id) {
    const asked = this.#asked.get(id);
    clearTimeout(asked?.timer);
    this.#asked.delete(id);
    return asked;
  }

  #ping() {
    if (this.send("ping", {})) this.#expect(PONG_WITHIN);
  }

  /** Somebody looks again, maybe after the machine slept: find out at once whether the connection still stands. */
  #awake() {
    if (this.state === "waiting") this.reconnect();
    else this.#ping();
  }

  /** A half-open connection gives no close event: hearing nothing for so long counts as one. */
  #expect(milliseconds) {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#drop(1006), milliseconds);
  }

  #drop(code) {
    const ws = this.#ws;
    this.#lost(code, "");
    ws?.close();
  }

  #goOffline() {
    if (this.#ws) this.#drop(1006);
    clearTimeout(this.#retry);
    this.#enter("offline");
  }

  async #lost(code, reason) {
    const greeted = this.state === "open";
    this.#ws = null;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#silence);
    for (const id of [...this.#asked.keys()]) this.#settle(id).reject(new Disconnected());
    if (FINAL[code]) return this.#enter(FINAL[code]);
    if (!navigator.onLine) return this.#enter("offline");
    this.#wait(code === 4503 ? Number.parseFloat(reason) : Number.NaN);
    if (!greeted && !(await this.#signedIn())) this.#enter("ended");
  }

  /** Wait what the server said, else the backoff with a jitter of a quarter, that not all come back at once. */
  #wait(told) {
    const backoff = BACKOFF[Math.min(this.#failures, BACKOFF.length - 1)] * (0.75 + Math.random() / 2);
    this.#failures += 1;
    const delay = (Number.isFinite(told) ? told : backoff) * 1000;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.reconnect(), delay);
    this.#enter("waiting", Date.now() + delay);
  }

  #enter(state, retryAt = null) {
    if (state === "ended") clearTimeout(this.#retry);
    this.state = state;
    this.retryAt = retryAt;
    this.emit("state", { state, retryAt });
  }
}
