/** The open conversation's frame: heading, typing line, panes, address; loads its messages. */
import * as api from "../net/api.js";
import { initial, many } from "./message.js";

const PAGE = 50;
const TRIES = 3;
/** So many messages of a conversation that was left stay in memory, and so many on the page of a reader at the end. */
const KEPT = 100;
const DRAWN = 300;

export class Conversation {
  chatId = null;
  #app;
  #parts;
  #store;
  #timeline;
  #loading = new Set();

  /** `app` is the page's root; its `data-pane` says which pane a narrow window shows. */
  constructor(app, store, timeline) {
    const part = (name) => app.querySelector(`[data-part="chat-${name}"]`);
    this.#app = app;
    this.#parts = {
      view: part("view"),
      none: part("none"),
      name: part("name"),
      about: part("about"),
      avatar: part("avatar"),
    };
    this.#parts.loading = part("loading");
    this.#parts.loading.lastElementChild.addEventListener("click", () => this.older(this.chatId));
    this.#parts.line = part("line");
    this.#parts.count = part("count");
    this.#store = store;
    this.#timeline = timeline;
  }

  /** Show a conversation, on what is here already if it was open before. */
  open(chatId) {
    if (this.chatId && this.chatId !== chatId) this.#leave();
    const chat = this.#store.open(chatId);
    this.chatId = chatId;
    this.#parts.view.hidden = false;
    this.#parts.none.hidden = true;
    this.#parts.view.dataset.kind = chat.kind;
    this.describe();
    this.#waiting(chatId, "");
    this.#timeline.open(chatId);
    if (chat.messages.length === 0 && chat.hasOlder) this.older(chatId);
  }

  close() {
    if (this.chatId) this.#leave();
    this.chatId = null;
    this.#parts.view.hidden = true;
    this.#parts.none.hidden = false;
  }

  #leave() {
    this.#timeline.close();
    this.#store.trim(this.chatId, KEPT);
  }

  /** Show one pane of a narrow window: "list" or "chat". */
  pane(name) {
    this.#app.dataset.pane = name;
  }

  describe() {
    const chat = this.#store.chat(this.chatId);
    if (!chat) return;
    const title = this.#store.title(chat);
    this.#parts.name.textContent = title;
    this.#parts.avatar.textContent = initial(title);
    Object.assign(this.#parts.avatar.dataset, { tone: this.#store.tone(chat), kind: chat.kind });
    const group = chat.kind === "direct" ? [] : this.#store.others(chat);
    this.#parts.line.setAttribute("user", this.#store.partner(chat));
    this.#parts.count.setAttribute("users", group.map(({ userId }) => userId).join(" "));
    const members = many(chat.memberCount, chat.kind === "broadcast" ? "reader" : "member");
    this.#parts.about.textContent = chat.kind === "direct" ? "" : [members, chat.topic].filter(Boolean).join(" · ");
    document.getElementById("composer").hidden = !this.#store.mayWrite(chat);
    document.getElementById("read-only").hidden = this.#store.mayWrite(chat);
  }

  /** Let go of what a reader at the end has scrolled past long ago. */
  tidy() {
    if (this.#timeline.atEnd && this.#store.chat(this.chatId)?.messages?.length > DRAWN) {
      this.#store.trim(this.chatId, DRAWN - KEPT);
    }
  }

  /** Load the page before the oldest message that is here. */
  async older(chatId) {
    const chat = this.#store.chat(chatId);
    if (!chat?.hasOlder || this.#loading.has(chatId)) return;
    this.#loading.add(chatId);
    this.#waiting(chatId, chat.messages?.length ? "" : "Loading messages…");
    try {
      // What is void by now is asked for again, as long as somebody looks.
      for (let tries = 0; tries < TRIES && !(await this.#page(chatId)) && chatId === this.chatId; ) tries += 1;
    } catch (fault) {
      console.warn("History could not be loaded; scrolling asks again:", fault.message);
    } finally {
      this.#loading.delete(chatId);
      const nothing = chat.hasOlder && !chat.messages?.length;
      this.#waiting(chatId, nothing ? "The messages could not be loaded." : "", { again: true });
    }
  }

  /** The connection stands again: load what could not be loaded. */
  resume() {
    if (this.chatId && !this.#store.chat(this.chatId)?.messages?.length) this.older(this.chatId);
  }

  async #page(chatId) {
    const edge = this.#store.edge(chatId);
    const query = edge.before === undefined ? "" : `&before=${edge.before}`;
    const page = await api.get(`/conversations/${chatId}/messages?limit=${PAGE}${query}`);
    if (!this.#store.chat(chatId)) return true;
    const taken = this.#store.addPage(chatId, page.results, page.hasMore, edge);
    if (taken && edge.before === undefined && chatId === this.chatId) this.#timeline.open(chatId);
    return taken;
  }

  #waiting(chatId, text, { again = false } = {}) {
    if (chatId !== this.chatId) return;
    const { loading } = this.#parts;
    loading.hidden = !text;
    loading.firstElementChild.textContent = text;
    loading.lastElementChild.hidden = !again;
  }
}
