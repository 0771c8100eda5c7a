/**
 * Fills the server's message markup (`templates/chat/message.html`, shipped as a `<template>`): the one place that
 * knows its parts. A row is what stands in the timeline: {key, message, own, first, last, group, state, seenBy, reason,
 * names, mine, nameOf}.
 */
import { fillCard } from "./message-cards.js";
import { dayKey, exactTime, time } from "../kit/dates.js";
import { fillFiles } from "./message-files.js";
import { nodes } from "../kit/format.js";

const STATES = { sending: "Sending", sent: "Sent", delivered: "Delivered", seen: "Seen", failed: "Not sent" };
/** Readers are named up to so many. */
const MOST_NAMED = 20;

export const initial = (name) => ([...name.trim()][0] ?? "?").toUpperCase();
export const many = (count, one, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;

/**
 * What a part shows: it is drawn anew only for something else, or a selection, a film that plays, the focus would be
 * lost.
 */
const shown = new WeakMap();

function drawOnce(element, what, draw) {
  const key = JSON.stringify(what);
  if (shown.get(element) === key) return;
  shown.set(element, key);
  draw();
}

const part = (node, name) => node.querySelector(`[data-part="${name}"]`);

function show(node, name, text) {
  const element = part(node, name);
  element.hidden = !text;
  element.textContent = text ?? "";
}

/** Return what stands in a deleted message's place. */
export function tombstone({ deletedBy, sender }, nameOf) {
  if (!deletedBy || deletedBy === sender.id) return "This message was deleted";
  return `${nameOf(deletedBy)} deleted a message`;
}

function fillText(node, { message, names, mine, nameOf }) {
  const text = part(node, "text");
  const { status, content } = message;
  text.hidden = status !== "deleted" && !content;
  const words = status === "deleted" ? tombstone(message, nameOf) : content;
  drawOnce(text, [words, status === "deleted", message.contentType, names, mine], () =>
    drawText(text, { words, message, names, mine }),
  );
}

function drawText(text, { words, message: { status, contentType }, names, mine }) {
  if (status === "deleted" || contentType === "system") text.textContent = words;
  else text.replaceChildren(nodes(words, { mentions: names, mine }));
}

function fillTicks(node, { own, message, state, seenBy, group }) {
  const ticks = part(node, "ticks");
  ticks.hidden = !own || message.status === "deleted";
  ticks.dataset.state = state;
  const some = group && seenBy.length > 0 && state !== "seen";
  const label = some ? `${STATES[state]}, seen by ${seenBy.length}` : STATES[state];
  ticks.setAttribute("aria-label", label);
  ticks.title = label;
}

function fillTime(node, { createdAt }) {
  const element = part(node, "time");
  element.dateTime = createdAt;
  element.textContent = time(createdAt);
  element.title = exactTime(createdAt);
}

function fillQuote(node, { replyTo, status }) {
  const quote = status === "deleted" ? null : replyTo;
  show(node, "quote-name", quote?.senderName);
  show(node, "quote-text", quote?.excerpt);
  part(node, "quote").hidden = !quote;
  part(node, "quote").dataset.to = quote?.id ?? "";
}

/**
 * Each emoji with how many gave it; pressed, it gives or takes back one's own. Who gave it stands in its name and
 * tooltip.
 */
function fillReactions(node, { message, nameOf, me }) {
  const row = part(node, "reactions");
  const reactions = message.reactions ?? [];
  row.hidden = reactions.length === 0;
  const named = reactions.map((reaction) => ({
    ...reaction,
    names: reaction.userIds.slice(0, MOST_NAMED).map(nameOf),
  }));
  drawOnce(row, named, () => row.replaceChildren(...named.map((reaction) => reactionChip(reaction, me))));
}

function reactionChip({ emoji, count, userIds, names }, me) {
  const chip = document.createElement("button");
  Object.assign(chip, { type: "button", className: "reaction", tabIndex: -1, textContent: `${emoji} ${count}` });
  Object.assign(chip.dataset, { act: "toggle", emoji });
  chip.setAttribute("aria-pressed", String(userIds.includes(me)));
  const more = count > names.length ? [many(count - names.length, "other")] : [];
  chip.title = [...names, ...more].join(", ");
  chip.setAttribute("aria-label", `${emoji} ${count}: ${chip.title}`);
  return chip;
}

function fillThread(node, { message: { replyCount, status, threadId } }) {
  show(node, "thread", replyCount && status !== "deleted" && !threadId ? many(replyCount, "reply", "replies") : "");
}

/** "Seen by 5" in a group, with the names where they are few (K5); pressed, `views/seen-by.js` lists them. */
function fillReaders(node, { message, own, group, last, seenBy }) {
  const button = part(node, "seen-by");
  button.hidden = !(own && group && last && seenBy.length > 0) || message.contentType === "system";
  button.title = seenBy.length > MOST_NAMED ? "" : seenBy.join(", ");
  button.textContent = `Seen by ${seenBy.length}`;
}

function classes(node, { message, own, first, last, state, mine }) {
  node.className = "message";
  const marks = {
    own,
    first,
    last,
    failed: state === "failed",
    system: message.contentType === "system",
    deleted: message.status === "deleted",
    mentioned: !own && (message.mentionsAll || message.mentions?.includes(mine?.id)),
  };
  for (const [name, on] of Object.entries(marks)) node.classList.toggle(name, Boolean(on));
}

/** Make a message's element show a row. */
export function fill(node, row) {
  const { message, own, state, reason } = row;
  const failed = state === "failed";
  classes(node, row);
  Object.assign(node.dataset, { key: row.key, seq: message.seq ?? "", id: message.id ?? "" });
  const avatar = part(node, "avatar");
  avatar.textContent = initial(message.sender.displayName);
  avatar.dataset.tone = message.sender.id;
  part(node, "sender").textContent = own ? "You" : message.sender.displayName;
  fillText(node, { ...row, mine: row.mine?.name });
  fillQuote(node, message);
  const { attachments, data, contentType, status } = message;
  drawOnce(part(node, "files"), [attachments, data, contentType, status], () =>
    fillFiles(part(node, "files"), message),
  );
  drawOnce(part(node, "card"), [data, contentType, status, row.votes, message.id], () =>
    fillCard(part(node, "card"), message, row),
  );
  fillTime(node, message);
  fillTicks(node, row);
  fillReactions(node, { ...row, me: row.mine?.id });
  fillThread(node, row);
  part(node, "edited").hidden = message.status !== "edited";
  part(node, "tools").hidden = !message.id || message.status === "deleted" || message.contentType === "system";
  fillReaders(node, row);
  part(node, "trouble").hidden = !failed;
  show(node, "reason", failed ? `Not sent${reason ? `: ${reason}` : ""}.` : "");
}

/** Return what decides how a row looks: equal signatures need no new filling. */
export function signature({ message, own, first, last, group, state, seenBy, reason, names = [] }) {
  const { id, rev, status, createdAt, drawn, replyCount } = message;
  return [
    id,
    rev,
    drawn,
    replyCount,
    status,
    createdAt,
    own,
    first,
    last,
    group,
    state,
    seenBy,
    reason,
    names,
    dayKey(createdAt),
  ].join("|");
}
