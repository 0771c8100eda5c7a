/**
 * What can be done with a message: its menu, reactions, deletion, votes. Each shows at once and is taken back if
 * refused.
 *
 * Events: `reply` message, `edit` message, `thread` message, `readers` {message, element}, `delivery` message.
 */
import * as api from "../net/api.js";
import { exactTime } from "../kit/dates.js";
import { EMOJI } from "../kit/emoji.js";
import { Emitter } from "../kit/events.js";
import { arrows, ask, attempt, openBeside, openMenu, say } from "../kit/popovers.js";
import { TOMBSTONE } from "../state/history.js";

const WORDED = new Set(["text", "image", "video", "file"]);

export class Actions extends Emitter {
  static events = "delivery edit readers reply thread";
  #menu;
  #picker;
  #versions;
  #store;
  #socket;
  #target = null;

  constructor({ menu, picker, versions }, store, socket) {
    super();
    this.#menu = menu;
    this.#picker = picker;
    this.#versions = versions;
    this.#store = store;
    this.#socket = socket;
    arrows(menu);
    arrows(picker);
    picker.append(...Object.entries(EMOJI).map(([name, emoji]) => pick(name, emoji)));
    picker.addEventListener("click", (event) => this.#picked(event.target.closest("button")));
  }

  /** Do what a press on a message asks for; `element` is what was pressed, or the message itself for a key. */
  act(action, element, message) {
    if (message.status === "deleted" || message.contentType === "system") return;
    if (action === "menu") openMenu(this.#menu, element, this.#items(message, element), "Message actions");
    else if (action === "react") this.#pick(element, message);
    else if (action === "toggle") this.toggle(message, element.dataset.emoji);
    else if (action === "vote") this.#vote(message, Number(element.dataset.option));
    else if (action === "close-poll") this.#closePoll(message);
    else if (action === "edit" && this.mayEdit(message)) this.emit("edit", message);
    else if (action === "readers") this.emit("readers", { message, element });
    else if (action === "reply" || action === "thread") this.emit(action, message);
  }

  mayEdit({ sender, contentType, status }) {
    return sender.id === this.#store.me && WORDED.has(contentType) && status !== "deleted";
  }

  #items(message, element) {
    const chat = this.#store.chat(message.chatId);
    const own = message.sender.id === this.#store.me;
    const items = [
      { label: "Reply", run: () => this.emit("reply", message) },
      { label: "React", run: () => this.#pick(element, message) },
      { label: "Open thread", run: () => this.emit("thread", message) },
    ];
    if (message.contentType === "poll" && !message.data.closed) items.push(...this.#pollItems(message, element));
    if (message.content) items.push({ label: "Copy text", run: () => copy(message.content) });
    if (this.mayEdit(message)) items.push({ label: "Edit", run: () => this.emit("edit", message) });
    if (message.status === "edited") items.push({ label: "Edit history", run: () => this.#history(message) });
    if (own && chat.kind !== "direct")
      items.push({ label: "Who has seen it", run: () => this.emit("readers", { message, element }) });
    if (own) items.push({ label: "Delivery details", run: () => this.emit("delivery", message) });
    items.push({ label: "Delete for me", danger: true, run: () => this.#delete(message, "self") });
    if (own || this.#store.isAdmin(chat)) {
      items.push({ label: "Delete for everyone", danger: true, run: () => this.#delete(message, "everyone") });
    }
    return items;
  }

  #pollItems(message, element) {
    const items = [{ label: "Vote", run: () => element.closest(".message").querySelector(".poll-option").focus() }];
    if (message.sender.id === this.#store.me) items.push({ label: "Close poll", run: () => this.#closePoll(message) });
    return items;
  }

  #closePoll({ id }) {
    attempt(() => api.post(`/messages/${id}/close`));
  }

  // --- reactions -----------------------------------------------------------------------------------------------------

  #pick(anchor, message) {
    this.#target = message;
    openBeside(this.#picker, anchor);
    this.#picker.querySelector("button").focus();
  }

  #picked(button) {
    if (!button) return;
    this.#picker.hidePopover();
    this.toggle(this.#target, button.dataset.emoji);
  }

  /** Give an emoji, or take one's own back. */
  toggle({ chatId, id: messageId, ...shown }, emoji) {
    const message = this.#store.message(chatId, messageId) ?? shown;
    const given = message.reactions?.find((reaction) => reaction.emoji === emoji)?.userIds.includes(this.#store.me);
    const undo = this.#store.pretend(chatId, messageId, {
      reactions: toggled(message.reactions ?? [], emoji, this.#store.me),
    });
    const action = given ? "remove" : "add";
    attempt(() => this.#socket.request("message.react", { messageId, emoji, action }), undo);
  }

  // --- the rest ------------------------------------------------------------------------------------------------------

  /** Change a message's words. Returns the ack, undefined for a refusal. */
  edit({ chatId, id: messageId, version }, content, mentions) {
    const undo = this.#store.pretend(chatId, messageId, { content, mentions, status: "edited" });
    return attempt(() => this.#socket.request("message.edit", { messageId, content, mentions, version }), undo);
  }

  async #delete(message, scope) {
    const { chatId, id: messageId } = message;
    const everyone = scope === "everyone";
    const question = everyone
      ? { title: "Delete for everyone?", text: "Nobody will be able to read this message any more.", action: "Delete" }
      : {
          title: "Delete for you?",
          text: "The others keep this message. It disappears on all of your devices.",
          action: "Delete",
        };
    if (!(await ask(question))) return;
    const undo = everyone
      ? this.#store.pretend(chatId, messageId, { ...TOMBSTONE, deletedBy: this.#store.me })
      : () => undefined;
    attempt(() => this.#socket.request("message.delete", { messageId, scope }), undo);
  }

  async #history({ id }) {
    const page = await attempt(() => api.get(`/messages/${id}/versions`));
    if (!page) return;
    const list = this.#versions.querySelector("[data-part=list]");
    list.replaceChildren(
      ...page.results.map(({ content, writtenAt }) => {
        const item = document.createElement("li");
        const moment = Object.assign(document.createElement("time"), {
          dateTime: writtenAt,
          textContent: exactTime(writtenAt),
        });
        const words = Object.assign(document.createElement("p"), { textContent: content, dir: "auto" });
        item.append(moment, words);
        return item;
      }),
    );
    this.#versions.showModal();
  }

  async #vote({ id, data }, option) {
    const mine = await attempt(() => this.#chosen(id, data));
    if (!mine) return;
    const without = mine.filter((at) => at !== option);
    const options = mine.includes(option) ? without : data.multiple ? [...mine, option] : [option];
    if (data.anonymous) this.#store.votes.set(id, options);
    await attempt(
      () => api.put(`/messages/${id}/vote`, { options }),
      () => this.#store.votes.delete(id),
    );
  }

  /** Return what the user has chosen so far; an anonymous poll's results do not say it. */
  async #chosen(id, { options, anonymous }) {
    if (anonymous) return this.#store.votes.get(id) ?? (await api.get(`/messages/${id}/votes`)).mine;
    return options.flatMap(({ userIds }, at) => (userIds?.includes(this.#store.me) ? [at] : []));
  }
}

function pick(name, emoji) {
  const button = Object.assign(document.createElement("button"), {
    type: "button",
    textContent: emoji,
    className: "pick",
    tabIndex: -1,
  });
  button.dataset.emoji = emoji;
  button.title = `:${name}:`;
  button.setAttribute("aria-label", name.replaceAll("_", " "));
  return button;
}

/** Return reactions with one's own emoji given, or taken back. */
export function toggled(reactions, emoji, me) {
  const others = (reaction) => reaction.userIds.filter((userId) => userId !== me);
  const at = reactions.findIndex((reaction) => reaction.emoji === emoji);
  if (at < 0) return [...reactions, { emoji, count: 1, userIds: [me] }];
  const given = reactions[at].userIds.includes(me);
  const changed = given
    ? { ...reactions[at], count: reactions[at].count - 1, userIds: others(reactions[at]) }
    : { ...reactions[at], count: reactions[at].count + 1, userIds: [...reactions[at].userIds, me] };
  return reactions.with(at, changed).filter(({ count }) => count > 0);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {
    say("This browser does not let pages copy.");
  }
}
