/**
 * The open conversation's messages: one keyed list of day headings, the unread divider, messages and pending messages,
 * reconciled with the page. Keeps the reader's place: at the bottom it stays there, elsewhere nothing moves.
 *
 * The scroller is laid out from its bottom (`column-reverse`): scrollTop is 0 there and negative above. Events: `older`
 * (the reader nears the oldest message), `drawn`, `act` {action, element, message} (something is asked of a message).
 */
import { dayKey, dayName } from "../kit/dates.js";
import { Emitter, throttle } from "../kit/events.js";
import { say } from "../kit/popovers.js";
import { fill, signature } from "./message.js";
import { arrange } from "../kit/children.js";
import { ticks } from "../state/ticks.js";

/** Messages of one sender within five minutes form a group. */
const GROUP_SPAN = 5 * 60_000;
/** So near to the end counts as being there (F379). */
const AT_END = 50;
const NEAR_START = 600;
/** Bursts are drawn in chunks. */
const CHUNK = 100;
const HUSH = 1000;
/** What a key asks of the message that has the focus. */
const MESSAGE_KEYS = { Enter: "menu", ContextMenu: "menu", r: "reply", e: "edit", "+": "react", t: "thread" };
const KEYS = { ArrowUp: -1, ArrowDown: 1 };

export class Timeline extends Emitter {
  static events = "act drawn older";
  #scroller;
  #log;
  #pill;
  #template;
  #store;
  #outbox;
  #nodes = new Map();
  #signatures = new WeakMap();
  #chatId = null;
  #divider = null;
  #lastSeen = 0;
  #hushed = null;
  #draw = throttle(() => this.#render(), CHUNK);

  /** `scroller` holds the log; `pill` is the button that leads to new messages. */
  constructor({ scroller, log, pill, template }, store, outbox) {
    super();
    this.#scroller = scroller;
    this.#log = log;
    this.#pill = pill;
    this.#template = template;
    this.#store = store;
    this.#outbox = outbox;
    for (const node of log.querySelectorAll(".message")) this.#nodes.set(node.dataset.key, node);
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    pill.addEventListener("click", () => this.toEnd());
    log.addEventListener("click", (event) => this.#clicked(event));
    log.addEventListener("keydown", (event) => this.#moved(event));
  }

  /** Show a conversation. What was unread stands below a divider until the conversation is left. */
  open(chatId) {
    const chat = this.#store.chat(chatId);
    this.#chatId = chatId;
    this.#divider = chat.unreadCount > 0 ? this.#store.mine(chat).readSeq : null;
    this.#lastSeen = chat.seq;
    this.#scroller.scrollTop = 0;
    this.#render();
    this.#scrollToDivider();
  }

  close() {
    this.#chatId = null;
    this.#log.replaceChildren();
    this.#nodes.clear();
  }

  /** Draw what has changed, soon. */
  update(chatId) {
    if (chatId === this.#chatId) this.#draw();
  }

  /** Draw at once: what the user has just done must be seen within 50 ms. */
  updateNow(chatId) {
    if (chatId === this.#chatId) this.#render();
  }

  toEnd() {
    this.#scroller.scrollTop = 0;
    this.#scrolled();
  }

  get atEnd() {
    return this.#scroller.scrollTop >= -AT_END;
  }

  // --- rows ----------------------------------------------------------------------------------------------------------

  #rows(chat) {
    const group = chat.kind !== "direct";
    const stored = chat.messages.map((message) => this.#storedRow(chat, message, group));
    const known = new Set(chat.messages.map((message) => message.clientId));
    const waiting = this.#outbox.of(chat.id).filter((item) => !known.has(item.id));
    const rows = [...stored, ...waiting.map((item) => this.#waitingRow(chat, item, group))];
    for (const [at, row] of rows.entries()) row.first = !joins(rows[at - 1], row, this.#divider);
    for (const [at, row] of rows.entries()) row.last = rows[at + 1]?.first ?? true;
    return rows;
  }

  #storedRow(chat, message, group) {
    const own = message.sender.id === this.#store.me;
    const state = own ? ticks(chat, this.#store.me, message) : { state: "sent", seenBy: [] };
    const key = own && message.clientId ? message.clientId : message.id;
    return { key, message, own, group, ...state, ...context(this.#store, chat, message) };
  }

  #waitingRow(chat, item, group) {
    return { ...waitingRow(this.#store, chat, item), group };
  }

  /** Return the elements in order: headings, divider, messages; each made once and kept by its key. */
  #elements(rows, hasOlder) {
    const elements = [];
    let day = null;
    // The divider stands where the unread begin: not on the page while that is further up.
    let divided = this.#divider === null || (hasOlder && rows[0]?.message.seq > this.#divider + 1);
    for (const row of rows) {
      const rowDay = dayKey(row.message.createdAt);
      if (rowDay !== day) elements.push(this.#heading(rowDay, row.message.createdAt));
      day = rowDay;
      if (!divided && !row.own && row.message.seq > this.#divider) {
        divided = true;
        elements.push(this.#keyed("divider", () => this.#line("unread-line", "New messages")));
      }
      elements.push(this.#message(row));
    }
    return elements;
  }

  #keyed(key, make) {
    const node = this.#nodes.get(key) ?? make();
    this.#nodes.set(key, node);
    return node;
  }

  #heading(day, createdAt) {
    const node = this.#keyed(day, () => this.#line("day", ""));
    const name = dayName(createdAt);
    if (node.textContent !== name) node.firstElementChild.textContent = name;
    return node;
  }

  #line(className, text) {
    const node = document.createElement("h3");
    node.className = className;
    node.append(document.createElement("span"));
    node.firstElementChild.textContent = text;
    return node;
  }

  #message(row) {
    const node = this.#keyed(row.key, () => this.#template.content.firstElementChild.cloneNode(true));
    const now = signature(row);
    if (this.#signatures.get(node) !== now) fill(node, row);
    this.#signatures.set(node, now);
    return node;
  }

  // --- drawing -------------------------------------------------------------------------------------------------------

  #render() {
    const chat = this.#chatId && this.#store.chat(this.#chatId);
    if (!chat?.messages) return;
    const elements = this.#elements(this.#rows(chat), chat.hasOlder);
    const older = this.#log.firstElementChild && elements.indexOf(this.#log.firstElementChild) > 0;
    if (older || !this.#log.childElementCount) this.#hush();
    this.#keepingPlace(() => this.#reconcile(elements));
    this.#roving();
    this.#count(chat);
    this.emit("drawn");
  }

  /** History that comes in must not be read out as if it were new: a log announces what is added, a moment later. */
  #hush() {
    this.#log.setAttribute("aria-busy", "true");
    clearTimeout(this.#hushed);
    this.#hushed = setTimeout(() => this.#log.removeAttribute("aria-busy"), HUSH);
  }

  #reconcile(elements) {
    const wanted = new Set(elements);
    for (const [key, node] of this.#nodes) if (!wanted.has(node)) this.#nodes.delete(key);
    arrange(this.#log, elements);
  }

  #keepingPlace(change) {
    const anchor = this.atEnd ? null : this.#firstVisible();
    const before = anchor?.getBoundingClientRect().top;
    change();
    if (anchor?.isConnected) this.#scroller.scrollTop += anchor.getBoundingClientRect().top - before;
    else if (!anchor) this.#scroller.scrollTop = 0;
  }

  #firstVisible() {
    const top = this.#scroller.getBoundingClientRect().top;
    return [...this.#log.querySelectorAll(".message")].find((node) => node.getBoundingClientRect().bottom > top);
  }

  #scrollToDivider() {
    const divider = this.#nodes.get("divider");
    if (!divider?.isConnected) return;
    const over = divider.getBoundingClientRect().top - this.#scroller.getBoundingClientRect().top - 16;
    if (over < 0) this.#scroller.scrollTop += over;
    this.#scrolled();
  }

  // --- the reader ----------------------------------------------------------------------------------------------------

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const chat = this.#store.chat(this.#chatId);
    if (!chat) return;
    if (scrollHeight - clientHeight + scrollTop < NEAR_START && chat.hasOlder) this.emit("older", this.#chatId);
    this.#count(chat);
  }

  /** The pill counts what others have sent since the reader was last at the end. */
  #count(chat) {
    if (this.atEnd) this.#lastSeen = chat.seq;
    const missed = (chat.messages ?? []).filter(
      ({ seq, sender }) => seq > this.#lastSeen && sender.id !== this.#store.me,
    );
    this.#pill.hidden = missed.length === 0;
    this.#pill.querySelector("[data-part=count]").textContent = missed.length || "";
  }

  #clicked(event) {
    const action = event.target.closest("[data-act]")?.dataset.act;
    const { key } = event.target.closest(".message")?.dataset ?? {};
    if (action === "retry") this.#outbox.retry(key);
    if (action === "discard") this.#outbox.discard(key);
    if (action === "jump") this.jump(event.target.closest(".quote").dataset.to);
    else if (action) this.#ask(action, event.target.closest("[data-act]"));
  }

  #ask(action, element) {
    const message = this.#store.message(this.#chatId, element.closest(".message").dataset.id);
    if (message) this.emit("act", { action, element, message });
  }

  /** Show a message that stands in the log, and mark it for a moment. */
  jump(messageId) {
    const node = messageId && this.#log.querySelector(`.message[data-id="${CSS.escape(messageId)}"]`);
    if (!node) return say("That message is further up: scroll there to load it.");
    node.scrollIntoView({ block: "center" });
    node.classList.remove("found");
    requestAnimationFrame(() => node.classList.add("found"));
  }

  /** The list is one tab stop, its newest message; arrows move within it, Enter opens the message's menu. */
  #roving() {
    if (this.#log.contains(document.activeElement)) return;
    for (const node of this.#log.querySelectorAll('.message[tabindex="0"]')) node.tabIndex = -1;
    this.#log.querySelector(".message:last-of-type")?.setAttribute("tabindex", "0");
  }

  #moved(event) {
    if (event.target.matches(".poll-option")) return this.#choosing(event);
    if (!event.target.matches(".message")) return;
    const asked = MESSAGE_KEYS[event.key];
    if (asked && event.target.dataset.id && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      return this.#ask(asked, event.target);
    }
    const all = [...this.#log.querySelectorAll(".message")];
    const at = all.indexOf(event.target);
    const next = { Home: all[0], End: all.at(-1) }[event.key] ?? all[at + KEYS[event.key]];
    if (!next) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  /** Within a poll arrows move among its answers, Escape leads back to the message. */
  #choosing(event) {
    const step = KEYS[event.key];
    if (!step && event.key !== "Escape") return;
    event.preventDefault();
    const all = [...event.target.parentElement.children];
    (step ? all[all.indexOf(event.target) + step] : event.target.closest(".message"))?.focus();
  }
}

/** Return the row of a message that waits in the outbox. */
export function waitingRow(store, chat, item) {
  const message = {
    sender: { id: store.me, displayName: "You" },
    contentType: item.contentType ?? "text",
    status: "active",
    replyTo: item.replyTo ?? null,
    content: item.content,
    createdAt: item.createdAt,
    data: item.data,
    attachments: item.files,
    mentions: item.mentions,
  };
  const state = { pending: "sending", failed: "failed", acked: "sent" }[item.state];
  return { key: item.id, message, own: true, state, seenBy: [], reason: item.reason, ...context(store, chat, message) };
}

/** Return what a row needs to know besides: whom it mentions by name, who the reader is, what people are called. */
export function context(store, chat, message) {
  const named = new Set(message.mentions);
  const names = chat.members.filter(({ userId }) => named.has(userId)).map(({ displayName }) => displayName);
  const mine = { id: store.me, name: store.mine(chat)?.displayName };
  return { names, mine, nameOf: (userId) => store.nameOf(chat, userId), votes: store.votes.get(message.id) };
}

/** Tell whether a row goes on with the group of the one before it. */
function joins(previous, row, divider) {
  if (!previous || previous.message.sender.id !== row.message.sender.id) return false;
  if (previous.message.contentType === "system" || row.message.contentType === "system") return false;
  if (divider !== null && previous.message.seq <= divider && !(row.message.seq <= divider)) return false;
  const [from, to] = [previous.message.createdAt, row.message.createdAt];
  return dayKey(from) === dayKey(to) && Math.abs(new Date(to) - new Date(from)) < GROUP_SPAN;
}
