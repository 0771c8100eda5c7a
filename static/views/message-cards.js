/** What a message of a type with data shows: a poll, a place, somebody's card. */

export function fillCard(box, message, row) {
  const draw = message.status === "deleted" ? null : CARDS[message.contentType];
  box.hidden = !draw || !message.data;
  const { option } = box.contains(document.activeElement) ? document.activeElement.dataset : {};
  box.replaceChildren(...(box.hidden ? [] : draw(message, row)));
  if (option) box.querySelector(`[data-option="${option}"]`)?.focus();
}

function element(name, className, textContent = "") {
  return Object.assign(document.createElement(name), { className, textContent });
}

const CARDS = {
  poll: ({ data, sender, id }, row) => {
    const question = element("p", "poll-question", data.question);
    const total = data.options.reduce((sum, { count = 0 }) => sum + count, 0);
    const options = element("div", "poll-options");
    options.setAttribute("role", "group");
    options.setAttribute("aria-label", data.question);
    options.append(...data.options.map(asOption).map((option, at) => choice(option, at, { ...data, total }, row)));
    const kind = [
      data.closed ? "Closed" : data.multiple ? "Choose any" : "Choose one",
      data.anonymous ? "anonymous" : "",
    ];
    const about = element(
      "p",
      "poll-about",
      `${kind.filter(Boolean).join(", ")} · ${total} ${total === 1 ? "vote" : "votes"}`,
    );
    if (id && sender.id === row.mine?.id && !data.closed) about.append(closer());
    return [question, options, about];
  },
  location: ({ data: { latitude, longitude, name, address } }) => {
    const point = `${latitude.toFixed(5)}, ${longitude.toFixed(5)}`;
    const link = element("a", "place", point);
    Object.assign(link, {
      href: `https://www.openstreetmap.org/?mlat=${latitude}&mlon=${longitude}`,
      target: "_blank",
      rel: "noopener noreferrer",
    });
    return [
      element("p", "card-name", name ?? "Location"),
      ...(address ? [element("p", "card-detail", address)] : []),
      link,
    ];
  },
  contact: ({ data: { userId, name, phone, email } }, { nameOf }) => {
    const parts = [element("p", "card-name", name ?? nameOf(userId))];
    if (phone) parts.push(to(`tel:${phone.replace(/[^+\d*#]/g, "")}`, phone));
    if (email) parts.push(to(`mailto:${encodeURIComponent(email).replace("%40", "@")}`, email));
    return parts;
  },
};

/** Before the server has stored it, a poll's options are texts. */
const asOption = (option) => (typeof option === "string" ? { text: option, count: 0, userIds: [] } : option);

function to(href, address) {
  const link = element("a", "card-detail", address);
  link.href = href;
  return link;
}

function choice({ text, count = 0, userIds }, at, { closed, total, anonymous }, { mine, nameOf, votes }) {
  const button = element("button", "poll-option");
  const chosen = userIds?.includes(mine?.id) ?? votes?.includes(at) ?? false;
  button.type = "button";
  button.tabIndex = -1;
  Object.assign(button.dataset, { act: "vote", option: at });
  button.disabled = closed;
  button.setAttribute("aria-pressed", String(chosen));
  button.style.setProperty("--share", `${total ? (100 * count) / total : 0}%`);
  if (!anonymous) button.title = (userIds ?? []).slice(0, 20).map(nameOf).join(", ");
  button.append(element("bdi", "", text), element("span", "poll-count", String(count)));
  return button;
}

function closer() {
  const button = element("button", "link", "Close poll");
  Object.assign(button, { type: "button", tabIndex: -1 });
  button.dataset.act = "close-poll";
  return button;
}
