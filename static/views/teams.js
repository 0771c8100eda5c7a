/**
 * The dialog of teams: one's own, and in each its channels, to be joined or opened, and its people.
 *
 * Events: `open` conversation id, `joined` conversation.
 */
import * as api from "../net/api.js";
import { button, check, field, foot } from "./details.js";
import { Emitter } from "../kit/events.js";
import { ask, attempt } from "../kit/popovers.js";
import { initial, many } from "./message.js";

const PAUSE = 250;

export class Teams extends Emitter {
  static events = "joined open";
  #dialog;
  #body;
  #title;
  #back;
  #me;
  #shown = 0;

  constructor(dialog, me) {
    super();
    const part = (name) => dialog.querySelector(`[data-part="${name}"]`);
    this.#dialog = dialog;
    this.#body = part("body");
    this.#title = part("title");
    this.#back = part("back");
    this.#me = me;
    this.#back.addEventListener("click", () => this.#list());
    part("close").addEventListener("click", () => dialog.close());
  }

  show() {
    this.#body.replaceChildren();
    this.#dialog.showModal();
    return this.#list();
  }

  /** Draw a view once its answers are here, unless another one was asked for meanwhile. */
  async #draw(title, load, make, { back = false } = {}) {
    const shown = ++this.#shown;
    const answer = await attempt(load);
    if (!answer || shown !== this.#shown) return;
    this.#title.textContent = title(answer);
    this.#back.hidden = !back;
    this.#body.replaceChildren(...make(answer));
  }

  #list() {
    return this.#draw(
      () => "Teams",
      () => api.get("/teams"),
      ({ results }) => {
        const list = element("ul", "rows-list");
        list.setAttribute("aria-label", "Your teams");
        list.append(
          ...results.map((team) =>
            row(team.name, many(team.memberCount, "member"), team.id, () => this.#team(team.id)),
          ),
        );
        const none = element("p", "nobody", "You are in no team yet. Make one, or have somebody add you to theirs.");
        return [results.length ? list : none, this.#newTeam()];
      },
    );
  }

  #newTeam() {
    const name = field("Team name", "", 100);
    return folded("New team", [name], async () => {
      const team = await attempt(() => api.post("/teams", { name: name.lastChild.value.trim() }));
      if (team) await this.#team(team.id);
    });
  }

  #team(teamId) {
    const load = async () => ({
      team: await api.get(`/teams/${teamId}`),
      channels: await all(`/teams/${teamId}/channels`),
      people: await all(`/teams/${teamId}/members`),
    });
    return this.#draw(
      ({ team }) => team.name,
      load,
      (found) => this.#parts(found),
      { back: true },
    );
  }

  #parts({ team, channels, people }) {
    const admin = team.role !== "member";
    const list = element("ul", "rows-list");
    list.setAttribute("aria-label", "Channels");
    list.append(...channels.map((channel) => this.#channel(channel)));
    const parts = [
      heading("Channels"),
      channels.length ? list : element("p", "nobody", "No channels yet."),
      this.#newChannel(team, admin),
    ];
    const members = element("ul", "members");
    members.setAttribute("aria-label", "People of the team");
    members.append(...people.map((person) => this.#person(team, person, admin)));
    parts.push(heading(many(team.memberCount, "member")));
    if (admin) parts.push(this.#adding(team, people));
    parts.push(
      members,
      button("Leave team", "button quiet danger slim", () => this.#leave(team), "leave-team"),
    );
    return parts;
  }

  #channel({ id, kind, name, topic, private: closed, memberCount, joined }) {
    const what = [kind === "broadcast" ? "Broadcast" : closed ? "Private" : "", many(memberCount, "member"), topic];
    const open = () => (joined ? this.#open(id) : this.#join(id));
    return row(name, what.filter(Boolean).join(" · "), id, open, joined ? "Open" : "Join");
  }

  #open(chatId) {
    this.#dialog.close();
    this.emit("open", chatId);
  }

  async #join(chatId) {
    const chat = await attempt(() => api.post(`/conversations/${chatId}/join`));
    if (!chat) return;
    this.emit("joined", chat);
    this.#open(chatId);
  }

  #newChannel(team, admin) {
    const name = field("Channel name", "", 100);
    const topic = field("Topic", "", 250);
    const closed = check("Private: by invitation only", false);
    const broadcast = check("Broadcast: only admins write", false);
    const fields = admin ? [name, topic, closed, broadcast] : [name, topic, closed];
    return folded("New channel", fields, async () => {
      const kind = broadcast.firstChild.checked ? "broadcast" : "channel";
      const body = {
        kind,
        name: name.lastChild.value.trim(),
        topic: topic.lastChild.value.trim(),
        private: closed.firstChild.checked,
      };
      const chat = await attempt(() => api.post(`/teams/${team.id}/channels`, body));
      if (!chat) return;
      this.emit("joined", chat);
      this.#open(chat.id);
    });
  }

  #person(team, { userId, displayName, role }, admin) {
    const item = element("li", "member");
    const face = element("span", "avatar small", initial(displayName));
    face.dataset.tone = userId;
    face.setAttribute("aria-hidden", "true");
    const name = element("bdi", "member-name", userId === this.#me ? `${displayName} (you)` : displayName);
    item.append(face, name, element("span", "member-role", { owner: "Owner", admin: "Admin" }[role] ?? ""));
    if (admin && role === "member" && userId !== this.#me) {
      const out = button("Remove", "link", () => this.#remove(team, userId, displayName), `out-${userId}`);
      out.setAttribute("aria-label", `Remove ${displayName}`);
      item.append(out);
    }
    return item;
  }

  #adding(team, people) {
    const here = new Set(people.map(({ userId }) => userId));
    const query = field("Add people", "", 100);
    const found = element("ul", "people");
    found.setAttribute("aria-label", "People to add");
    found.hidden = true;
    let timer = null;
    let asked = 0;
    const look = async () => {
      const mine = ++asked;
      const answer = await attempt(() => api.get(`/users?q=${encodeURIComponent(query.lastChild.value.trim())}`));
      if (mine !== asked) return;
      const others = answer?.results.filter(({ id }) => !here.has(id)).slice(0, 6) ?? [];
      found.hidden = others.length === 0;
      found.replaceChildren(
        ...others.map(({ id, displayName }) => {
          const item = element("li", "");
          item.append(button(displayName, "person", () => this.#add(team, id), `add-${id}`));
          return item;
        }),
      );
    };
    query.lastChild.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(look, PAUSE);
    });
    const around = element("div", "add-form");
    around.append(query, found);
    return around;
  }

  async #add(team, userId) {
    if (await attempt(() => api.post(`/teams/${team.id}/members`, { userId }))) await this.#team(team.id);
  }

  async #remove(team, userId, name) {
    const question = { title: `Remove ${name}?`, text: "They leave all channels of this team too.", action: "Remove" };
    if (!(await ask(question))) return;
    await attempt(() => api.remove(`/teams/${team.id}/members/${userId}`));
    await this.#team(team.id);
  }

  async #leave(team) {
    const question = { title: `Leave ${team.name}?`, text: "You leave all of its channels too.", action: "Leave" };
    if (!(await ask(question))) return;
    await attempt(() => api.remove(`/teams/${team.id}/members/${this.#me}`));
    await this.#list();
  }
}

/** Read all pages of a list. */
async function all(path) {
  const found = [];
  for (let cursor = "", more = true; more; ) {
    const page = await api.get(`${path}${cursor && `?cursor=${encodeURIComponent(cursor)}`}`);
    found.push(...page.results);
    ({ nextCursor: cursor, hasMore: more } = page);
  }
  return found;
}

function element(name, className, textContent = "") {
  return Object.assign(document.createElement(name), { className, textContent });
}

const heading = (words) => element("h3", "details-heading", words);

function row(name, detail, key, run, action = "") {
  const item = element("li", "");
  const press = button("", "list-row", run, key);
  const words = element("span", "row-words");
  words.append(element("bdi", "file-name", name), element("span", "file-size", detail));
  press.append(words);
  if (action) press.append(element("span", "row-action", action));
  item.append(press);
  return item;
}

/** A form behind a button: it opens where it is asked for. */
function folded(label, fields, submit) {
  const around = element("div", "folded");
  const form = element("form", "settings-form");
  const toggle = () => {
    form.hidden = !form.hidden;
    opener.hidden = !form.hidden;
    (form.hidden ? opener : form.querySelector("input")).focus();
  };
  const opener = button(label, "button quiet slim", toggle, label);
  form.hidden = true;
  fields[0].lastChild.required = true;
  form.append(...fields, foot("Create", "Cancel", toggle));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  around.append(opener, form);
  return around;
}
