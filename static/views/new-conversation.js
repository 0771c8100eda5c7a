/** The dialog for a new conversation: one person makes it direct, several with a name make it a group. */
import * as api from "../net/api.js";
import { Emitter } from "../kit/events.js";
import { initial } from "./message.js";

/** A search starts when nobody has typed for so long. */
const PAUSE = 200;

/** Events: `created` conversation. */
export class NewChat extends Emitter {
  static events = "created";
  #dialog;
  #query;
  #results;
  #chosen;
  #naming;
  #name;
  #submit;
  #trouble;
  #template;
  #people = new Map();
  #timer = null;
  #asked = 0;
  #me;

  constructor(dialog, me) {
    super();
    const part = (name) => dialog.querySelector(`[data-part="${name}"]`);
    this.#dialog = dialog;
    this.#me = me;
    this.#query = part("query");
    this.#results = part("results");
    this.#chosen = part("chosen");
    this.#naming = part("naming");
    this.#name = part("name");
    this.#submit = part("submit");
    this.#trouble = part("trouble");
    this.#template = document.getElementById("person-template");
    this.#query.addEventListener("input", () => this.#typed());
    this.#query.addEventListener("keydown", (event) => this.#pressed(event));
    this.#results.addEventListener("click", (event) => this.#picked(event.target.closest("button")));
    this.#chosen.addEventListener("click", (event) => this.#dropped(event.target.closest("button")));
    this.#name.addEventListener("input", () => this.#draw());
    dialog.querySelector("form").addEventListener("submit", (event) => this.#create(event));
    for (const button of dialog.querySelectorAll("[data-act=close]")) {
      button.addEventListener("click", () => dialog.close());
    }
  }

  show() {
    this.#people.clear();
    this.#query.value = this.#name.value = "";
    this.#trouble.textContent = "";
    this.#draw();
    this.#dialog.showModal();
    this.#query.focus();
    this.#search();
  }

  #typed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#search(), PAUSE);
  }

  #pressed(event) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    // Enter takes the first of those found; with nothing typed it goes on with those chosen.
    if (this.#query.value.trim() || this.#people.size === 0) this.#picked(this.#results.querySelector("button"));
    else if (!this.#submit.disabled) this.#submit.click();
    else this.#name.focus();
  }

  async #search() {
    const asked = ++this.#asked;
    try {
      const { results } = await api.get(`/users?q=${encodeURIComponent(this.#query.value.trim())}`);
      if (asked === this.#asked) this.#list(results);
    } catch (fault) {
      this.#trouble.textContent = fault.message;
    }
  }

  #list(people) {
    const others = people.filter(({ id }) => id !== this.#me && !this.#people.has(id));
    this.#results.replaceChildren(...others.map((person) => this.#row(person)));
    if (others.length === 0) this.#results.append(this.#nobody());
  }

  #row(person) {
    const node = this.#template.content.firstElementChild.cloneNode(true);
    const button = node.querySelector("button");
    Object.assign(button.dataset, { id: person.id, name: person.displayName });
    const avatar = node.querySelector("[data-part=avatar]");
    avatar.textContent = initial(person.displayName);
    avatar.dataset.tone = person.id;
    node.querySelector("[data-part=name]").textContent = person.displayName;
    return node;
  }

  #nobody() {
    const node = document.createElement("li");
    node.className = "nobody";
    node.textContent = this.#query.value.trim() ? "Nobody of that name." : "Type a name to find someone.";
    return node;
  }

  #picked(button) {
    if (!button) return;
    this.#people.set(button.dataset.id, button.dataset.name);
    this.#query.value = "";
    this.#draw();
    this.#query.focus();
    this.#search();
  }

  #dropped(button) {
    if (!button) return;
    this.#people.delete(button.dataset.id);
    this.#draw();
    this.#query.focus();
    this.#search();
  }

  #draw() {
    const group = this.#people.size > 1;
    this.#chosen.replaceChildren(...[...this.#people].map(([id, name]) => chip(id, name)));
    this.#naming.hidden = !group;
    this.#submit.textContent = group ? "Create group" : "Start chat";
    this.#submit.disabled = this.#people.size === 0 || (group && !this.#name.value.trim());
  }

  async #create(event) {
    event.preventDefault();
    const memberIds = [...this.#people.keys()];
    const direct = memberIds.length === 1;
    this.#submit.disabled = true;
    try {
      const body = direct
        ? { kind: "direct", userId: memberIds[0] }
        : { kind: "group", name: this.#name.value.trim(), memberIds };
      this.emit("created", await api.post("/conversations", body));
      this.#dialog.close();
    } catch (fault) {
      this.#trouble.textContent = fault.message;
      this.#submit.disabled = false;
    }
  }
}

function chip(id, name) {
  const node = document.createElement("li");
  const button = document.createElement("button");
  Object.assign(button, { type: "button", textContent: name, className: "chip" });
  button.dataset.id = id;
  button.setAttribute("aria-label", `Remove ${name}`);
  node.append(button);
  return node;
}
