/** The conversation list: the server's item markup, kept in order, and the unread total in rail and title. */
import { listTime } from "../kit/dates.js";
import { throttle } from "../kit/events.js";
import { initial, many, tombstone } from "./message.js";
import { arrange } from "../kit/children.js";
import { isMuted } from "../state/order.js";

const DRAW_EVERY = 100;
/** What stands in the list for a message without words. */
const WORDS = {
  image: ({ attachments = [] }) => (attachments.length > 1 ? `${attachments.length} pictures` : "Picture"),
  video: () => "Video",
  voice: () => "Voice message",
  location: ({ data }) => data?.name ?? "Location",
  contact: ({ data }) => `Contact: ${data?.name ?? "card"}`,
  poll: ({ data }) => `Poll: ${data?.question ?? ""}`,
  file: ({ attachments = [] }) => attachments[0]?.name ?? "File",
};

export class Conversations {
  #list;
  #template;
  #total;
  #empty;
  #toggle;
  #store;
  #drafts;
  #nodes = new Map();
  #openId = null;
  #title = document.title;
  #archived = false;
  draw = throttle(() => this.#render(), DRAW_EVERY);

  /** `toggle` is the button that shows what is archived, or leaves it out. */
  constructor({ list, template, total, empty, toggle }, store, drafts) {
    this.#list = list;
    this.#template = template;
    this.#total = total;
    this.#empty = empty;
    this.#toggle = toggle;
    toggle.addEventListener("click", () => this.#toggleArchive());
    this.#store = store;
    this.#drafts = drafts;
    for (const node of list.children) this.#nodes.set(node.dataset.chat, node);
  }

  /** Mark a conversation as the open one; `title` names the page. */
  open(chatId, title) {
    this.#openId = chatId;
    this.#title = title;
    this.#render();
  }

  #render() {
    const all = this.#store.list().filter((chat) => !chat.blocked || chat.id === this.#openId);
    const chats = all.filter((chat) => !chat.archived || this.#archived || chat.id === this.#openId);
    const wanted = new Set(chats.map((chat) => chat.id));
    for (const id of this.#nodes.keys()) if (!wanted.has(id)) this.#nodes.delete(id);
    arrange(
      this.#list,
      chats.map((chat) => this.#node(chat)),
    );
    this.#empty.hidden = chats.length > 0;
    this.#toggle.hidden = !all.some((chat) => chat.archived);
    this.#renderTotal();
  }

  /** Show or leave out what the user has archived. */
  #toggleArchive() {
    this.#archived = !this.#archived;
    this.#toggle.setAttribute("aria-pressed", String(this.#archived));
    this.#toggle.textContent = this.#archived ? "Hide archived" : "Show archived";
    this.#render();
  }

  #node(chat) {
    const node = this.#nodes.get(chat.id) ?? this.#template.content.firstElementChild.cloneNode(true);
    this.#nodes.set(chat.id, node);
    this.#fill(node, chat);
    return node;
  }

  #fill(node, chat) {
    const part = (name) => node.querySelector(`[data-part="${name}"]`);
    const title = this.#store.title(chat);
    const link = node.querySelector("a");
    node.dataset.chat = chat.id;
    link.href = `/c/${chat.id}/`;
    if (chat.id === this.#openId) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    part("avatar").textContent = initial(title);
    Object.assign(part("avatar").dataset, { tone: this.#store.tone(chat), kind: chat.kind });
    part("presence").setAttribute("user", this.#store.partner(chat));
    part("name").textContent = title;
    this.#fillTime(part("time"), chat);
    this.#fillSnippet(part, chat);
    part("unread").hidden = chat.unreadCount === 0 && !chat.markedUnread;
    part("count").textContent = chat.unreadCount > 99 ? "99+" : chat.unreadCount || "";
    part("mention").hidden = !chat.mentionCount;
    part("muted").hidden = !isMuted(chat);
    part("pinned").hidden = !chat.pinned;
    node.classList.toggle("muted", isMuted(chat));
  }

  #fillTime(element, { lastMessage, createdAt }) {
    const moment = lastMessage?.createdAt ?? createdAt;
    element.dateTime = moment;
    element.textContent = listTime(moment);
  }

  #fillSnippet(part, chat) {
    const draft = chat.id === this.#openId ? "" : this.#drafts.of(chat.id).trim();
    part("draft").hidden = !draft;
    part("snippet").textContent = draft || this.#snippet(chat);
  }

  #snippet(chat) {
    const message = chat.lastMessage;
    if (chat.waiting) return many(chat.waiting, "new message");
    if (!message) return "No messages yet";
    if (message.status === "deleted") return tombstone(message, (userId) => this.#store.nameOf(chat, userId));
    if (message.contentType === "system") return message.content;
    const words = message.content || (WORDS[message.contentType] ?? WORDS.file)(message);
    if (message.sender.id === this.#store.me) return `You: ${words}`;
    return chat.kind === "direct" ? words : `${message.sender.displayName}: ${words}`;
  }

  #renderTotal() {
    const unread = this.#store.totalUnread();
    this.#total.hidden = unread === 0;
    this.#total.querySelector("[data-part=count]").textContent = unread > 99 ? "99+" : unread;
    document.title = unread ? `(${unread}) ${this.#title}` : this.#title;
  }
}
