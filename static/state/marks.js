/**
 * What this page tells about others' messages: delivered as soon as they are here, seen only when they stand in view of
 * a focused tab (F123). Marks are cumulative, so only the highest counts.
 */
import { throttle } from "../kit/events.js";

const DELIVERED_EVERY = 200;
const SEEN_EVERY = 1000;
const HALF = 0.5;
/** A connection is known to be gone within so many ms: a heartbeat and the wait for its answer. */
const UNSURE = 60_000;

export class Receipts {
  #socket;
  #store;
  #outstanding = new Map();
  #marked = new Map();
  #unsure = new Map();
  #visible = new Set();
  #observer;
  #scroller;
  #chatId = null;
  #flush = throttle(() => this.#sendDelivered(), DELIVERED_EVERY);
  #mark = throttle(() => this.#sendSeen(), SEEN_EVERY);

  /** `scroller` is what messages must stand in to be seen. */
  constructor(socket, store, scroller) {
    this.#socket = socket;
    this.#store = store;
    this.#scroller = scroller;
    const options = { root: scroller, threshold: [0, 0.1, 0.25, HALF, 0.75, 1] };
    this.#observer = new IntersectionObserver((entries) => this.#observed(entries), options);
    window.addEventListener("focus", () => this.look());
    document.addEventListener("visibilitychange", () => this.look());
  }

  /** A message of another person has arrived. */
  delivered(chatId, seq) {
    this.#outstanding.set(chatId, Math.max(seq, this.#outstanding.get(chatId) ?? 0));
    this.#flush();
  }

  /** The connection stands again: say what was never said, and the marks that may have been lost with the last one. */
  resume() {
    for (const chat of this.#store.list()) {
      if (chat.seq > (this.#store.mine(chat)?.deliveredSeq ?? chat.seq)) this.delivered(chat.id, chat.seq);
    }
    for (const [chatId, { seq }] of this.#unsure) this.#socket.send("read.mark", { chatId, seq });
    this.#unsure.clear();
    this.look();
  }

  /** The connection is gone, and with it maybe the marks since its last heartbeat. */
  lost() {
    for (const [chatId, mark] of this.#marked) if (Date.now() - mark.at < UNSURE) this.#unsure.set(chatId, mark);
    this.#marked.clear();
  }

  /** Watch what is drawn of the open conversation, or of none. */
  watch(chatId, log) {
    this.#chatId = chatId;
    this.#observer.disconnect();
    this.#visible.clear();
    const { readSeq = 0 } = this.#mine() ?? {};
    for (const node of log.querySelectorAll(".message:not(.own)")) {
      if (Number(node.dataset.seq) > readSeq) this.#observer.observe(node);
    }
  }

  #mine() {
    const chat = this.#store.chat(this.#chatId);
    return chat && this.#store.mine(chat);
  }

  #observed(entries) {
    for (const { target, intersectionRatio, intersectionRect, rootBounds } of entries) {
      // A message taller than the view never stands in it by half.
      const fills = rootBounds && intersectionRect.height > rootBounds.height * HALF;
      if (intersectionRatio >= HALF || fills) this.#visible.add(target);
      else this.#visible.delete(target);
    }
    this.look();
  }

  #sendDelivered() {
    const [chatId, seq] = this.#outstanding.entries().next().value ?? [];
    if (!chatId || !this.#socket.send("message.delivered", { chatId, seq })) return;
    this.#outstanding.delete(chatId);
    this.#store.deliveredUpTo(chatId, seq);
    if (this.#outstanding.size) this.#flush();
  }

  /** Return the highest seq in view that is not marked yet, 0 for none or where nobody looks. */
  #seenSeq() {
    // In a narrow window a thread or the details stand before the messages.
    const covered = !this.#scroller.checkVisibility({ visibilityProperty: true });
    if (covered || !document.hasFocus() || document.visibilityState !== "visible") return 0;
    const seq = Math.max(0, ...[...this.#visible].map((node) => Number(node.dataset.seq)));
    return seq > (this.#mine()?.readSeq ?? seq) ? seq : 0;
  }

  /** Mark what stands in view, if somebody looks. */
  look() {
    if (this.#seenSeq()) this.#mark();
  }

  #sendSeen() {
    const seq = this.#seenSeq();
    if (!seq || !this.#socket.send("read.mark", { chatId: this.#chatId, seq })) return;
    this.#marked.set(this.#chatId, { seq, at: Date.now() });
    this.#store.readUpTo(this.#chatId, seq);
  }
}
