/**
 * What a conversation is and who is in it, beside it: members with their roles, what admins may change, and what the
 * user sets for themself. Everything is asked of the server; the page shows what it answers.
 *
 * Events: `changed` conversation, `direct` userId, `opened`, `closed`.
 */
import * as api from "../net/api.js";
import { briefTime } from "../kit/dates.js";
import { Emitter } from "../kit/events.js";
import { ask, attempt, openMenu, say } from "../kit/popovers.js";
import { initial, many } from "./message.js";
import { isMuted } from "../state/order.js";

const ROLES = { owner: "Owner", admin: "Admin", member: "" };
const HOUR = 3_600_000;
const MUTES = [
  ["For 1 hour", HOUR],
  ["For 8 hours", 8 * HOUR],
  ["For a week", 7 * 24 * HOUR],
  ["Until I turn it on", 3650 * 24 * HOUR],
];
const KINDS = { group: "group", channel: "channel", broadcast: "broadcast", direct: "conversation" };
const PAUSE = 250;

export class Details extends Emitter {
  static events = "asked changed closed direct opened";
  #panel;
  #body;
  #menu;
  #store;
  #chatId = null;
  #members = [];
  #cursor = null;
  #asked = 0;
  #button;

  constructor(panel, menu, button, store) {
    super();
    this.#panel = panel;
    this.#body = panel.querySelector("[data-part=body]");
    this.#menu = menu;
    this.#button = button;
    this.#store = store;
    button.addEventListener("click", () => (panel.hidden ? this.emit("asked") : this.close()));
    panel.querySelector("[data-act=close-side]").addEventListener("click", () => this.close());
    panel.addEventListener("keydown", (event) => event.key === "Escape" && !event.defaultPrevented && this.close());
  }

  get chatId() {
    return this.#chatId;
  }

  open(chatId) {
    this.#chatId = chatId;
    this.#members = [];
    this.#panel.hidden = false;
    this.#button.setAttribute("aria-expanded", "true");
    this.emit("opened");
    this.#draw();
    this.#panel.querySelector("[data-act=close-side]").focus();
    return this.#load();
  }

  close() {
    if (this.#panel.hidden) return;
    this.#panel.hidden = true;
    this.#chatId = null;
    this.#button.setAttribute("aria-expanded", "false");
    this.#button.focus();
    this.emit("closed");
  }

  /** The conversation has changed elsewhere: who is in it may have too. */
  changed(chatId) {
    if (chatId === this.#chatId) this.#load();
  }

  async #load(cursor = "") {
    const chatId = this.#chatId;
    const page = await attempt(() =>
      api.get(`/conversations/${chatId}/members${cursor && `?cursor=${encodeURIComponent(cursor)}`}`),
    );
    if (!page || chatId !== this.#chatId) return;
    this.#members = cursor ? [...this.#members, ...page.results] : page.results;
    this.#cursor = page.hasMore ? page.nextCursor : null;
    this.#draw();
  }

  // --- drawing -------------------------------------------------------------------------------------------------------

  #draw() {
    const chat = this.#store.chat(this.#chatId);
    if (!chat) return this.close();
    // Somebody is writing here: their words are not taken away under their hands.
    if (document.activeElement?.closest("#details form")) return;
    const parts = [this.#head(chat), this.#own(chat)];
    if (chat.kind !== "direct") parts.push(this.#people(chat), this.#ends(chat));
    const focused = document.activeElement?.closest("#details [data-key]")?.dataset.key;
    this.#body.replaceChildren(...parts);
    if (focused) this.#body.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  #head(chat) {
    const title = this.#store.title(chat);
    const face = element("span", "avatar large", initial(title));
    face.setAttribute("aria-hidden", "true");
    Object.assign(face.dataset, { tone: this.#store.tone(chat), kind: chat.kind });
    const head = section("details-top", face, text("h3", "details-name", title));
    if (chat.topic) head.append(text("p", "details-topic", chat.topic));
    head.append(element("p", "hint", `${about(chat)} · since ${briefTime(chat.createdAt)}`));
    if (this.#store.isAdmin(chat)) head.append(this.#settings(chat));
    return head;
  }

  /** Name and topic, for admins: one form, open on request. */
  #settings(chat) {
    const form = element("form", "settings-form");
    const name = field("Name", chat.name, 100);
    const topic = field("Topic", chat.topic ?? "", 250);
    const history = check("New members see what was said before", chat.sharesHistory);
    form.append(
      name,
      topic,
      history,
      foot("Save", "Cancel", () => this.#toggle(form)),
    );
    form.hidden = true;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const body = {
        name: name.lastChild.value.trim(),
        topic: topic.lastChild.value.trim(),
        sharesHistory: history.firstChild.checked,
      };
      this.#toggle(form);
      this.#change(() => api.patch(`/conversations/${chat.id}`, body));
    });
    const around = element("div", "");
    around.append(
      button("Edit", "button quiet slim", () => this.#toggle(form), "edit"),
      form,
    );
    return around;
  }

  #toggle(form) {
    form.hidden = !form.hidden;
    form.previousSibling.hidden = !form.hidden;
    (form.hidden ? form.previousSibling : form.querySelector("input")).focus();
  }

  #own(chat) {
    const muted = isMuted(chat);
    const set = (body) => () => this.#mine(body);
    const list = element("div", "details-actions");
    const mute = (event) =>
      openMenu(
        this.#menu,
        event.currentTarget,
        MUTES.map(([label, span]) => ({
          label,
          run: set({ mutedUntil: new Date(Date.now() + span).toISOString() }),
        })),
        "Mute",
      );
    list.append(
      button(muted ? "Unmute" : "Mute…", "row-button", muted ? set({ mutedUntil: null }) : mute, "mute"),
      button(chat.pinned ? "Unpin" : "Pin", "row-button", set({ pinned: !chat.pinned }), "pin"),
      button(
        chat.archived ? "Take out of the archive" : "Archive",
        "row-button",
        set({ archived: !chat.archived }),
        "archive",
      ),
      button("Mark as unread", "row-button", set({ markedUnread: true }), "unread"),
    );
    return section("", list);
  }

  #people(chat) {
    const heading = element("h3", "details-heading", many(chat.memberCount, "member"));
    const list = element("ul", "members");
    list.setAttribute("aria-label", "Members");
    list.append(...this.#members.map((member) => this.#member(chat, member)));
    const part = section("", heading);
    if (this.#store.isAdmin(chat)) part.append(this.#add(chat));
    part.append(list);
    if (this.#cursor) part.append(button("Show more", "link", () => this.#load(this.#cursor), "more"));
    return part;
  }

  #member(chat, member) {
    const item = element("li", "member");
    const face = element("span", "avatar small", initial(member.displayName));
    face.setAttribute("aria-hidden", "true");
    face.dataset.tone = member.userId;
    const dot = document.createElement("presence-dot");
    dot.setAttribute("user", member.userId);
    const me = member.userId === this.#store.me;
    const name = text("span", "member-name", me ? `${member.displayName} (you)` : member.displayName);
    item.append(face, dot, name, element("span", "member-role", ROLES[member.role] ?? ""));
    const items = me ? [] : this.#can(chat, member);
    if (items.length) {
      const title = `More about ${member.displayName}`;
      const more = button(
        "⋯",
        "icon-button small",
        (event) => openMenu(this.#menu, event.currentTarget, items, title),
        `member-${member.userId}`,
      );
      more.setAttribute("aria-label", title);
      item.append(more);
    }
    return item;
  }

  /** What the user may do with a member: the owner anything, an admin what the owner did not make. */
  #can(chat, { userId, displayName, role }) {
    const mine = this.#store.mine(chat)?.role;
    const items = [{ label: "Write to them", run: () => this.emit("direct", userId) }];
    const become = (wanted) => () =>
      this.#change(() => api.patch(`/conversations/${chat.id}/members/${userId}`, { role: wanted }));
    if (["owner", "admin"].includes(mine) && role === "member")
      items.push({ label: "Make admin", run: become("admin") });
    if (mine === "owner" && role === "admin") items.push({ label: "Make member", run: become("member") });
    if (mine === "owner") items.push({ label: "Hand over", run: () => this.#handOver(displayName, become("owner")) });
    if (mine === "owner" || (mine === "admin" && role === "member")) {
      items.push({ label: "Remove", danger: true, run: () => this.#removeMember(chat, userId, displayName) });
    }
    return items;
  }

  #add(chat) {
    const form = element("form", "add-form");
    const query = field("Add people", "", 100);
    query.lastChild.type = "search";
    query.lastChild.placeholder = "Name";
    const found = element("ul", "people");
    found.setAttribute("aria-label", "People to add");
    found.hidden = true;
    let timer = null;
    query.lastChild.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.#find(chat, query.lastChild.value.trim(), found), PAUSE);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      found.querySelector("button")?.click();
    });
    form.append(query, found);
    return form;
  }

  async #find(chat, words, list) {
    const asked = ++this.#asked;
    if (!words) {
      list.hidden = true;
      return;
    }
    const answer = await attempt(() => api.get(`/users?q=${encodeURIComponent(words)}`));
    if (!answer || asked !== this.#asked) return;
    const here = new Set(this.#members.map(({ userId }) => userId));
    const people = answer.results.filter(({ id }) => !here.has(id)).slice(0, 6);
    list.hidden = false;
    list.replaceChildren(
      ...people.map(({ id, displayName }) => {
        const item = element("li", "");
        item.append(button(displayName, "person", () => this.#addMember(chat, id, displayName), `add-${id}`));
        return item;
      }),
    );
    if (!people.length) list.append(element("li", "nobody", "Nobody else of that name."));
  }

  #ends(chat) {
    const list = element("div", "details-actions");
    list.append(button(`Leave ${KINDS[chat.kind]}`, "row-button danger", () => this.#leave(chat), "leave"));
    if (this.#store.mine(chat)?.role === "owner") {
      list.append(button(`Dissolve ${KINDS[chat.kind]}`, "row-button danger", () => this.#dissolve(chat), "dissolve"));
    }
    return section("", list);
  }

  // --- doing ---------------------------------------------------------------------------------------------------------

  /** Do what answers with the conversation, and show it. */
  async #change(action) {
    const { key } = document.activeElement?.closest("#details [data-key]")?.dataset ?? {};
    document.activeElement?.blur();
    const chat = await attempt(action);
    if (chat) this.emit("changed", chat);
    if (chat) await this.#load();
    // The keyboard goes on where it was, unless it has gone elsewhere meanwhile.
    if (key && document.activeElement === document.body)
      this.#body.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
    return chat;
  }

  #mine(body) {
    return this.#change(() => api.patch(`/conversations/${this.#chatId}/members/${this.#store.me}`, body));
  }

  async #addMember(chat, userId, name) {
    if (await this.#change(() => api.post(`/conversations/${chat.id}/members`, { userId }))) say(`${name} is added.`);
  }

  async #handOver(name, run) {
    if (
      await ask({
        title: `Hand over to ${name}?`,
        text: "You stay an admin. Only the new owner can hand it back.",
        action: "Hand over",
      })
    )
      run();
  }

  async #removeMember(chat, userId, name) {
    if (
      !(await ask({ title: `Remove ${name}?`, text: "They will not see what is said from now on.", action: "Remove" }))
    )
      return;
    await attempt(() => api.remove(`/conversations/${chat.id}/members/${userId}`));
    this.#load();
  }

  async #leave(chat) {
    const question = {
      title: `Leave ${this.#store.title(chat)}?`,
      text: "You will not see what is said from now on.",
      action: "Leave",
    };
    if (await ask(question)) attempt(() => api.remove(`/conversations/${chat.id}/members/${this.#store.me}`));
  }

  async #dissolve(chat) {
    const question = {
      title: `Dissolve ${this.#store.title(chat)}?`,
      text: "Nobody will be in it any more. This cannot be undone.",
      action: "Dissolve",
    };
    if (await ask(question)) attempt(() => api.remove(`/conversations/${chat.id}`));
  }
}

const about = ({ kind, private: closed }) =>
  ({
    direct: "Conversation of two",
    group: "Group",
    channel: closed ? "Private channel" : "Channel",
    broadcast: "Broadcast",
  })[kind];

function element(name, className, textContent = "") {
  return Object.assign(document.createElement(name), { className, textContent });
}

const text = (name, className, words) => Object.assign(element(name, className, words), { dir: "auto" });

function section(className, ...children) {
  const made = element("section", className);
  made.append(...children);
  return made;
}

export function button(label, className, run, key) {
  const made = Object.assign(element("button", className, label), { type: "button" });
  made.dataset.key = key;
  made.addEventListener("click", run);
  return made;
}

export function field(label, value, maxLength) {
  const around = element("label", "field");
  const input = Object.assign(document.createElement("input"), { type: "text", value, maxLength, autocomplete: "off" });
  around.append(element("span", "", label), input);
  return around;
}

export function check(label, checked) {
  const around = element("label", "check");
  around.append(Object.assign(document.createElement("input"), { type: "checkbox", checked }), label);
  return around;
}

export function foot(save, cancel, close) {
  const made = element("div", "form-foot");
  made.append(
    button(cancel, "button quiet slim", close, "cancel"),
    Object.assign(element("button", "button slim", save), { type: "submit" }),
  );
  return made;
}
