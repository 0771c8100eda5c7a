/**
 * Where messages are written: Enter sends, Shift+Enter makes a line; drafts, quotes, edits, files, mentions; the own
 * typing frames.
 *
 * Events: `send` {chatId, content, replyTo?, threadId?, files?, contentType?, mentions?}, `edited` {message, content,
 * mentions}, `typing` {chatId, active}, `draft` chatId, `last` (the last own message is to be edited).
 */
import { Emitter } from "../kit/events.js";
import { parse } from "../kit/format.js";
import { excerpt } from "../state/history.js";

/** While someone writes, `typing.start` goes out this often (F130); after as long without a key comes the stop. */
const TYPING_EVERY = 3000;

/** Return the ids of the people whom a text mentions. */
export function mentioned(text, people) {
  const ids = new Map(people.map(({ userId, displayName }) => [displayName, userId]));
  const named = parse(text, [...ids.keys()]).filter(({ type, everyone }) => type === "mention" && !everyone);
  return [...new Set(named.map(({ name }) => ids.get(name)))];
}

/** Return what a message's type is by its files. */
function typeOf(files) {
  const kinds = new Set(files.map(({ mimeType }) => mimeType.split("/")[0]));
  return kinds.size === 1 && ["image", "video"].includes([...kinds][0]) ? [...kinds][0] : "file";
}

export class Composer extends Emitter {
  static events = "draft edited last send typing";
  #form;
  #field;
  #notice;
  #context;
  #drafts;
  #uploads;
  #people;
  #limit;
  #chatId = null;
  #quoted = null;
  #editing = null;
  #typingSince = 0;
  #stop = null;

  /** `people(chatId)` are the members who may be mentioned; `uploads` are the files on their way. */
  constructor({ form, field, notice, context }, drafts, uploads, people) {
    super();
    this.#form = form;
    this.#field = field;
    this.#notice = notice;
    this.#context = context;
    this.#drafts = drafts;
    this.#uploads = uploads;
    this.#people = people;
    this.#limit = Number(field.dataset.maxChars);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    field.addEventListener("keydown", (event) => this.#pressed(event));
    field.addEventListener("input", () => this.#changed());
    context.querySelector("button").addEventListener("click", () => this.#leaveContext());
    uploads.on("change", () => this.#check());
  }

  /** Write to a conversation, from its draft on. `focus`: put the cursor there. */
  open(chatId, { focus }) {
    this.#endTyping();
    this.#chatId = chatId;
    this.#quoted = this.#editing = null;
    this.#drawContext();
    this.#field.value = this.#drafts.of(chatId);
    this.#uploads.open(chatId);
    this.#check();
    if (focus) this.#field.focus();
  }

  /** Another device, or another tab, has begun or ended a draft here. */
  draftChanged(chatId) {
    const writing = document.hasFocus() && document.activeElement === this.#field;
    if (chatId !== this.#chatId || this.#editing || writing) return;
    this.#field.value = this.#drafts.of(chatId);
    this.#check();
  }

  /** Answer a message. */
  reply(message) {
    if (this.#editing) this.#leaveContext();
    this.#quoted = message;
    this.#drawContext();
    this.#field.focus();
  }

  /**
   * Change an own message: its words, or those that were refused, stand here until they are sent, or given up by
   * Escape.
   */
  edit(message, content = message.content) {
    this.#quoted = null;
    this.#editing = message;
    this.#field.value = content;
    this.#drawContext();
    this.#check();
    this.#field.focus();
    this.#field.setSelectionRange(content.length, content.length);
  }

  #drawContext() {
    const message = this.#editing ?? this.#quoted;
    this.#context.hidden = !message;
    const part = (name) => this.#context.querySelector(`[data-part="${name}"]`);
    part("title").textContent = this.#editing ? "Edit message" : `Reply to ${message?.sender.displayName ?? ""}`;
    part("excerpt").textContent = excerpt(message?.content ?? "");
    this.#context.querySelector("button").setAttribute("aria-label", this.#editing ? "Stop editing" : "Do not reply");
  }

  #leaveContext() {
    if (this.#editing) this.#field.value = this.#drafts.of(this.#chatId);
    this.#quoted = this.#editing = null;
    this.#drawContext();
    this.#check();
    this.#field.focus();
  }

  #pressed(event) {
    if (event.defaultPrevented || event.isComposing) return;
    if (event.key === "Escape" && (this.#quoted || this.#editing)) {
      event.preventDefault();
      this.#leaveContext();
    }
    if (event.key === "ArrowUp" && !this.#field.value && !this.#editing) {
      event.preventDefault();
      this.emit("last");
    }
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    this.#send();
  }

  #send() {
    const content = this.#field.value.trim();
    if (this.#tooLong(content)) return;
    if (this.#uploads.busy && !this.#editing) {
      this.#notice.textContent = "A file is still on its way.";
      return;
    }
    const mentions = mentioned(content, this.#people(this.#chatId));
    if (this.#editing) {
      if (!content) return;
      const message = this.#editing;
      this.#leaveContext();
      if (content !== message.content) this.emit("edited", { message, content, mentions });
      return;
    }
    const files = this.#uploads.take();
    if (!content && files.length === 0) return;
    const message = { chatId: this.#chatId, content, ...this.#asReply() };
    if (mentions.length) message.mentions = mentions;
    if (files.length) Object.assign(message, { files, contentType: typeOf(files) });
    this.#field.value = "";
    this.#quoted = null;
    this.#drawContext();
    this.#drafts.keep(this.#chatId, "");
    this.#endTyping();
    this.#check();
    this.emit("send", message);
    this.#field.focus();
  }

  #asReply() {
    if (!this.#quoted) return {};
    const { id, sender, content, threadId } = this.#quoted;
    return { replyTo: { id, senderName: sender.displayName, excerpt: excerpt(content) }, threadId: threadId ?? id };
  }

  #changed() {
    const text = this.#field.value;
    this.#check();
    if (this.#editing) return;
    const had = this.#drafts.of(this.#chatId);
    this.#drafts.keep(this.#chatId, text);
    if (Boolean(had.trim()) !== Boolean(text.trim())) this.emit("draft", this.#chatId);
    if (text.trim()) this.#type();
    else this.#endTyping();
  }

  #check() {
    const text = this.#field.value.trim();
    const over = [...text].length - this.#limit;
    this.#notice.textContent = over > 0 ? `${over} ${over === 1 ? "character" : "characters"} too long` : "";
    this.#field.setAttribute("aria-invalid", String(over > 0));
    const something = Boolean(text) || (this.#uploads.count > 0 && !this.#editing);
    this.#form.classList.toggle("ready", something && over <= 0 && !this.#uploads.busy);
  }

  #tooLong(text) {
    return [...text].length > this.#limit;
  }

  #type() {
    clearTimeout(this.#stop);
    this.#stop = setTimeout(() => this.#endTyping(), TYPING_EVERY + 500);
    if (Date.now() - this.#typingSince < TYPING_EVERY) return;
    this.#typingSince = Date.now();
    this.emit("typing", { chatId: this.#chatId, active: true });
  }

  #endTyping() {
    clearTimeout(this.#stop);
    if (!this.#typingSince) return;
    this.#typingSince = 0;
    this.emit("typing", { chatId: this.#chatId, active: false });
  }
}
