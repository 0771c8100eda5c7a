/**
 * Messages on their way: kept in IndexedDB until their ack, so that they survive a reload; sent one at a time in a
 * conversation, in the order written, again with the same id where no ack comes, and after five tries on request only.
 *
 * Events: `change` chatId, `acked` {item, ack}. An item: {id, userId, chatId, content, contentType?, data?, replyTo?,
 * threadId?, files?, mentions?, lastSeenSeq?, createdAt, order, tries, state, reason?}, where `replyTo` and `files` are
 * as the message object has them; its state is "pending", "failed", or "acked" for the moment until the message stands
 * in the history.
 */
import { Emitter } from "../kit/events.js";
import { uuid } from "../kit/ids.js";
import { Disconnected, NoAnswer } from "./socket.js";
import { openDB } from "../vendor/idb.js";

/** Seconds to wait for the ack of each try (U4). */
const PATIENCE = [5, 10, 20, 40, 60];
/** Refusals that pass with time; every other one is the message's own fault. */
const TRANSIENT = new Set(["RATE_LIMITED", "OVERLOADED", "INTERNAL"]);

/** What the writer is told; any other refusal speaks for itself. */
const REASONS = {
  CONTENT_TOO_LONG: "it is too long",
  FRAME_TOO_LARGE: "it is too long",
  NOT_A_MEMBER: "you are no longer in this conversation",
  READ_ONLY: "only admins may write here",
  ATTACHMENT_REJECTED: "a file cannot be sent; attach it again",
};

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/**
 * Only one tab sends a conversation's messages at a time. Web Locks are missing on plain http: there each tab sends.
 */
const exclusively = (name, action) => (navigator.locks ? navigator.locks.request(name, action) : action());

/**
 * What stands in for the database in a browser that refuses to keep anything: messages then live as long as the page.
 */
const NOTHING_KEPT = { getAllFromIndex: () => [], put() {}, delete() {} };

const database = () =>
  openDB("parley", 1, {
    upgrade(db) {
      db.createObjectStore("outbox", { keyPath: "id" }).createIndex("user", "userId");
    },
  });

/** Return an item as `message.send` takes it. */
const payload = ({ chatId, content, contentType, data, replyTo, files, mentions, lastSeenSeq }) => ({
  chatId,
  content,
  contentType,
  data: data ?? undefined,
  replyTo: replyTo?.id,
  attachments: files?.map(({ id }) => id),
  mentions,
  lastSeenSeq,
});

export class Outbox extends Emitter {
  static events = "acked change";
  #db = NOTHING_KEPT;
  #loaded = false;
  #newest = 0;
  #socket;
  #userId;
  #items = new Map();
  #busy = new Set();
  #flowing = false;

  constructor(socket, userId) {
    super();
    this.#socket = socket;
    this.#userId = userId;
  }

  /** Load what an earlier page left behind. */
  async load() {
    this.#db = await database().catch((fault) => {
      console.warn("Messages that wait are not kept over a reload:", fault);
      return NOTHING_KEPT;
    });
    for (const item of this.#items.values()) this.#keep(item);
    const kept = await this.#kept(() => this.#db.getAllFromIndex("outbox", "user", this.#userId));
    for (const item of kept ?? []) if (!this.#items.has(item.id)) this.#items.set(item.id, item);
    this.#loaded = true;
    for (const chatId of this.#chats()) this.emit("change", chatId);
    if (this.#flowing) this.flow();
  }

  /** Return a conversation's items in the order written; acked ones stay until they stand in the history. */
  of(chatId) {
    return [...this.#items.values()].filter((item) => item.chatId === chatId).sort((a, b) => a.order - b.order);
  }

  /** How many messages wait to be sent. */
  get waiting() {
    return [...this.#items.values()].filter((item) => item.state === "pending").length;
  }

  /** Take a new message: it is shown at once, kept before it is sent. */
  async add(message) {
    const now = new Date();
    this.#newest = Math.max(now.getTime(), this.#newest + 0.001);
    const order = this.#newest;
    const item = {
      ...message,
      id: uuid(),
      userId: this.#userId,
      createdAt: now.toISOString(),
      order,
      tries: 0,
      state: "pending",
    };
    this.#items.set(item.id, item);
    this.emit("change", item.chatId);
    await this.#keep(item);
    this.#work(item.chatId);
  }

  /** Try a failed message again, from the first try. */
  async retry(id) {
    await this.#update(id, { state: "pending", tries: 0, reason: undefined });
    this.#work(this.#items.get(id)?.chatId);
  }

  /** Forget a message: its owner gave it up, or it stands in the history. */
  async discard(id) {
    const item = this.#items.get(id);
    if (!item) return;
    this.#items.delete(id);
    this.emit("change", item.chatId);
    await this.#forget(id);
  }

  /** The connection stands and the gap is filled: send what waits. */
  flow() {
    this.#flowing = true;
    if (this.#loaded) for (const chatId of this.#chats()) this.#work(chatId);
  }

  /** The connection is gone: hold everything back until the next `flow`. */
  hold() {
    this.#flowing = false;
  }

  #chats() {
    return new Set([...this.#items.values()].map((item) => item.chatId));
  }

  async #work(chatId) {
    if (this.#busy.has(chatId)) return;
    this.#busy.add(chatId);
    try {
      for (let item = this.#next(chatId); item; item = this.#next(chatId)) {
        await exclusively(`parley-send-${chatId}`, () => this.#attempt(item));
      }
    } finally {
      this.#busy.delete(chatId);
    }
  }

  #next(chatId) {
    return this.#flowing ? this.of(chatId).find((item) => item.state === "pending") : undefined;
  }

  /** Send once. Another tab may have sent it while this one waited for the lock: then the ack says `duplicate`. */
  async #attempt({ id }) {
    const item = this.#items.get(id);
    if (!item) return;
    const timeout = PATIENCE[item.tries] * 1000;
    let ack;
    try {
      ack = await this.#socket.request("message.send", payload(item), { id, timeout });
    } catch (fault) {
      return this.#failed(item, fault);
    }
    this.#items.set(id, { ...item, state: "acked" });
    await this.#forget(id);
    this.emit("acked", { item, ack });
  }

  async #failed(item, fault) {
    if (fault instanceof Disconnected) return this.hold();
    if (fault instanceof NoAnswer) return this.#missed(item);
    // The server has lost what this message answers: better a message without its place in time than none.
    if (fault.code === "CLOCK_AHEAD") return this.#update(item.id, { lastSeenSeq: undefined });
    if (!TRANSIENT.has(fault.code))
      return this.#update(item.id, { state: "failed", reason: REASONS[fault.code] ?? fault.message });
    await sleep(fault.retryAfter ?? PATIENCE[item.tries]);
    return fault.code === "RATE_LIMITED" ? undefined : this.#missed(item);
  }

  #missed({ id, tries }) {
    const spent = tries + 1 >= PATIENCE.length;
    return this.#update(id, spent ? { tries: 0, state: "failed", reason: "" } : { tries: tries + 1 });
  }

  async #update(id, change) {
    const item = this.#items.get(id);
    if (!item) return;
    const changed = { ...item, ...change };
    this.#items.set(id, changed);
    this.emit("change", item.chatId);
    await this.#keep(changed);
  }

  /** A database that fails, for it is full, costs a message its life over a reload, and nothing else. */
  async #keep(item) {
    await this.#kept(() => this.#db.put("outbox", item));
  }

  async #forget(id) {
    await this.#kept(() => this.#db.delete("outbox", id));
  }

  async #kept(access) {
    try {
      return await access();
    } catch (fault) {
      console.warn("What waits to be sent is not kept over a reload:", fault);
      return undefined;
    }
  }
}
