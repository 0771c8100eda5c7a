/**
 * A thread: the message at which it begins and the replies to it, with a mark of what has been read in it. It opens
 * beside the conversation; what arrives there, arrives here.
 *
 * Events: `send` message, `act` {action, element, message}, `opened`, `closed`.
 */
import * as api from "../net/api.js";
import { mentioned } from "./composer.js";
import { Emitter, throttle } from "../kit/events.js";
import { attempt } from "../kit/popovers.js";
import { excerpt } from "../state/history.js";
import { fill, signature } from "./message.js";
import { arrange } from "../kit/children.js";
import { ticks } from "../state/ticks.js";
import { context, waitingRow } from "./timeline.js";

const DRAW_EVERY = 100;

export class Thread extends Emitter {
  static events = "act closed opened send";
  #panel;
  #parts;
  #template;
  #store;
  #outbox;
  #held = new Map();
  #nodes = new Map();
  #signatures = new WeakMap();
  /** What is being written in each thread. */
  #drafts = new Map();
  #chatId = null;
  #root = null;
  #read = 0;
  #opener = null;
  #draw = throttle(() => this.#render(), DRAW_EVERY);

  constructor(panel, template, store, outbox) {
    super();
    const part = (name) => panel.querySelector(`[data-part="${name}"]`);
    this.#panel = panel;
    this.#parts = {
      log: part("log"),
      scroller: part("scroller"),
      form: part("form"),
      unread: part("unread"),
      field: panel.querySelector("textarea"),
    };
    this.#template = template;
    this.#store = store;
    this.#outbox = outbox;
    this.#parts.form.addEventListener("submit", (event) => this.#submit(event));
    this.#parts.field.addEventListener("keydown", (event) => this.#pressed(event));
    this.#parts.field.addEventListener("input", () => this.#written());
    window.addEventListener("focus", () => this.#draw());
    this.#parts.log.addEventListener("click", (event) => this.#clicked(event));
    panel.querySelector("[data-act=close-side]").addEventListener("click", () => this.close());
  }

  get chatId() {
    return this.#chatId;
  }

  /** Open the thread that a message begins, or that it is a reply in. */
  async open(message) {
    const chatId = message.chatId;
    const rootId = message.threadId ?? message.id;
    this.#opener = document.activeElement;
    this.#chatId = chatId;
    this.#root = rootId;
    this.#read = 0;
    this.#held.clear();
    this.#nodes.clear();
    this.#parts.log.replaceChildren();
    this.#write(this.#drafts.get(rootId) ?? "");
    this.#parts.unread.textContent = "";
    this.#parts.form.hidden = !this.#store.mayWrite(this.#store.chat(chatId));
    this.#panel.hidden = false;
    this.emit("opened");
    this.update(chatId);
    const [root, replies] = await Promise.all([
      attempt(() => api.get(`/messages/${rootId}`)),
      attempt(() => this.#pages(rootId)),
    ]);
    if (this.#root !== rootId) return;
    for (const found of [root, ...(replies ?? [])].filter(Boolean)) this.#hold(found);
    this.#render();
    this.#parts.field.focus();
  }

  async #pages(rootId) {
    const found = [];
    for (let cursor = "", more = true; more; ) {
      const page = await api.get(
        `/messages/${rootId}/replies?limit=100${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
      );
      if (!cursor && rootId === this.#root)
        this.#parts.unread.textContent = page.unreadCount ? `${page.unreadCount} new` : "";
      found.push(...page.results);
      ({ nextCursor: cursor, hasMore: more } = page);
    }
    return found;
  }

  close() {
    if (this.#panel.hidden) return;
    const inside = this.#panel.contains(document.activeElement);
    this.#panel.hidden = true;
    this.#chatId = this.#root = null;
    if (inside && this.#opener?.isConnected) this.#opener.focus({ preventScroll: true });
    this.emit("closed");
  }

  /** The conversation's messages, or those that wait to be sent, have changed: take those of this thread. */
  update(chatId) {
    if (chatId !== this.#chatId) return;
    const messages = this.#store.chat(chatId)?.messages ?? [];
    for (const message of messages) if (this.#isOfIt(message)) this.#hold(message);
    this.#draw();
  }

  /** Take what changed of a message, which the conversation may hold no more: `{chatId, id, rev, …}`. */
  take({ chatId, ...change }) {
    const held = this.#held.get(change.id);
    if (chatId !== this.#chatId || !(held || (change.sender && this.#isOfIt(change)))) return;
    this.#hold({ ...held, ...change, chatId });
    this.#draw();
  }

  /** The user has deleted messages for themself. */
  drop({ chatId, messageIds }) {
    if (chatId !== this.#chatId) return;
    for (const id of messageIds) this.#held.delete(id);
    this.#draw();
  }

  #isOfIt({ id, threadId }) {
    return id === this.#root || threadId === this.#root;
  }

  #hold(message) {
    const held = this.#held.get(message.id);
    if (!held || message.rev >= held.rev) this.#held.set(message.id, message);
  }

  #render() {
    if (!this.#chatId) return;
    const chat = this.#store.chat(this.#chatId);
    if (!chat) return this.close();
    const { scroller, log } = this.#parts;
    const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
    const messages = [...this.#held.values()].sort((a, b) => a.seq - b.seq);
    const known = new Set(messages.map(({ clientId }) => clientId));
    const waiting = this.#outbox.of(chat.id).filter((item) => item.threadId === this.#root && !known.has(item.id));
    const rows = [
      ...messages.map((message) => this.#row(chat, message)),
      ...waiting.map((item) => waitingRow(this.#store, chat, item)),
    ];
    arrange(
      log,
      rows.map((row) => this.#node(row)),
    );
    if (atEnd) scroller.scrollTop = scroller.scrollHeight;
    this.#mark(messages.at(-1)?.seq ?? 0);
  }

  #row(chat, message) {
    const own = message.sender.id === this.#store.me;
    const state = own ? ticks(chat, this.#store.me, message) : { state: "sent", seenBy: [] };
    const key = own && message.clientId ? message.clientId : message.id;
    return { key, message, own, ...state, ...context(this.#store, chat, message) };
  }

  #node(row) {
    const alone = { ...row, first: true, last: true, group: true };
    const node = this.#nodes.get(row.key) ?? this.#template.content.firstElementChild.cloneNode(true);
    const now = signature(alone);
    if (this.#signatures.get(node) !== now) fill(node, alone);
    node.classList.toggle("root", row.message.id === this.#root);
    this.#nodes.set(row.key, node);
    this.#signatures.set(node, now);
    return node;
  }

  /** What stands in an open thread is read, if somebody looks. */
  #mark(seq) {
    if (seq <= this.#read || !document.hasFocus()) return;
    this.#read = seq;
    api
      .post(`/messages/${this.#root}/replies/read`, { seq })
      .catch((fault) => console.warn("A thread was not marked as read:", fault.message));
  }

  #write(text) {
    this.#parts.field.value = text;
    this.#written();
  }

  #written() {
    const text = this.#parts.field.value;
    this.#drafts.set(this.#root, text);
    this.#parts.form.classList.toggle("ready", Boolean(text.trim()));
  }

  #pressed(event) {
    if (event.key === "Escape" && !event.defaultPrevented) this.close();
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !event.defaultPrevented) this.#submit(event);
  }

  #submit(event) {
    event.preventDefault();
    const content = this.#parts.field.value.trim();
    const root = this.#held.get(this.#root);
    if (!content || !root) return;
    const mentions = mentioned(content, this.#store.others(this.#store.chat(this.#chatId)));
    const replyTo = { id: root.id, senderName: root.sender.displayName, excerpt: excerpt(root.content) };
    this.#write("");
    this.emit("send", {
      chatId: this.#chatId,
      content,
      replyTo,
      threadId: root.id,
      ...(mentions.length ? { mentions } : {}),
    });
  }

  #clicked(event) {
    const element = event.target.closest("[data-act]");
    const { id, key } = element?.closest(".message")?.dataset ?? {};
    if (element?.dataset.act === "retry") this.#outbox.retry(key);
    if (element?.dataset.act === "discard") this.#outbox.discard(key);
    const message = this.#held.get(id);
    if (message && element.dataset.act !== "readers")
      this.emit("act", { action: element.dataset.act, element, message });
  }
}
