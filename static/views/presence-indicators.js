/**
 * Elements that show presence, wherever the markup puts them; those on the page decide whom it subscribes to:
 *
 * - `<presence-dot user="id">`: a sign whose name is the state, beside a name or a face;
 * - `<presence-line user="id">`: the sign with its words and when somebody was last seen;
 * - `<presence-count users="id id">`: how many of several people are available.
 *
 * Who is unknown is shown as nothing.
 */
import { ago, time } from "../kit/dates.js";
import { arrows, attempt, openMenu } from "../kit/popovers.js";

const STATUSES = {
  available: "Available",
  away: "Away",
  dnd: "Do not disturb",
  brb: "Be right back",
  in_meeting: "In a meeting",
  offline: "Offline",
};
const CHOICES = { ...STATUSES, offline: "Appear offline" };

/** Return a state in words, "" for what is not known: "Available", "Away, last seen 5 minutes ago". */
export function words({ status, lastSeen, asOf } = {}) {
  const name = STATUSES[status];
  if (!name) return "";
  if (asOf) return `${name}, as of ${time(asOf)}`;
  if (!lastSeen) return name;
  return status === "offline" ? `Last seen ${ago(lastSeen)}` : `${name}, last seen ${ago(lastSeen)}`;
}

/** Return the sign of a state; its words stand beside it. */
function sign(status) {
  const dot = Object.assign(document.createElement("span"), { className: "dot" });
  dot.dataset.status = status;
  dot.setAttribute("aria-hidden", "true");
  return dot;
}

/** Let the page's presence elements show what `presence` knows. */
export function define(presence) {
  class Shown extends HTMLElement {
    static observedAttributes = ["user", "users"];

    get users() {
      return (this.getAttribute("users") ?? this.getAttribute("user") ?? "").split(" ").filter(Boolean);
    }

    get state() {
      return presence.of(this.users[0]);
    }

    connectedCallback() {
      presence.enter(this);
    }

    disconnectedCallback() {
      presence.leave(this);
    }

    attributeChangedCallback(_name, before, now) {
      if (this.isConnected && before !== now) presence.touched(this);
    }
  }

  class Dot extends Shown {
    draw() {
      const name = words(this.state);
      this.className = name ? "dot" : "";
      this.title = name;
      this.dataset.status = name && this.state.status;
      if (name) Object.assign(this, { role: "img", ariaLabel: name });
      else Object.assign(this, { role: null, ariaLabel: null });
    }
  }

  class Line extends Shown {
    draw() {
      const name = words(this.state);
      if (this.textContent !== name) this.replaceChildren(...(name ? [sign(this.state.status), name] : []));
      else if (name) this.firstElementChild.dataset.status = this.state.status;
    }
  }

  class Count extends Shown {
    draw() {
      const here = this.users.filter((userId) => presence.of(userId)?.status === "available").length;
      const word = Object.assign(document.createElement("span"), { className: "word", textContent: " available" });
      this.replaceChildren(...(here ? [sign("available"), String(here), word] : []));
    }
  }

  customElements.define("presence-dot", Dot);
  customElements.define("presence-line", Line);
  customElements.define("presence-count", Count);
}

/** Let a button open the menu of the user's own states. */
export function choosing(button, menu, presence) {
  arrows(menu);
  button.addEventListener("click", () =>
    openMenu(
      menu,
      button,
      Object.entries(CHOICES).map(([status, label]) => ({
        label,
        icon: sign(status),
        checked: presence.chosen === status,
        run: () => attempt(() => presence.choose(status)),
      })),
      "Your state",
    ),
  );
}
