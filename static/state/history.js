/**
 * The messages that the page holds of one conversation: an unbroken run in seq order that ends at its newest, or null
 * where none was wanted yet. Plain functions over a conversation of the store; they tell nobody.
 */

/** What is left of a message that was deleted for everyone. */
export const TOMBSTONE = {
  status: "deleted",
  content: "",
  data: null,
  attachments: [],
  mentions: [],
  mentionsAll: false,
  reactions: [],
};
/** So many characters of a message stand in its quotes. */
const EXCERPT = 100;
const STATES = ["sent", "delivered", "seen"];
const BY_SEQ = (a, b) => a.seq - b.seq;

export const excerpt = (content) => [...content].slice(0, EXCERPT).join("");

export const find = (chat, messageId) => chat?.messages?.find(({ id }) => id === messageId);

/** Return an own message as the outbox held it, with what its ack says. */
export const sent = (item, stored, sender) => ({
  ...stored,
  sender,
  chatId: item.chatId,
  clientId: item.id,
  content: item.content,
  contentType: item.contentType ?? "text",
  data: item.data ?? null,
  attachments: item.files ?? [],
  mentions: item.mentions ?? [],
  reactions: [],
  replyTo: item.replyTo ?? null,
  threadId: item.threadId,
  status: "active",
  state: "sent",
  version: 1,
});

/** Hold a message's latest state: an older rev never overwrites a newer one, and ticks never go back. */
export function merge(chat, message) {
  if (chat.lastMessage?.id === message.id && message.rev >= (chat.lastMessage.rev ?? 0)) chat.lastMessage = message;
  const held = chat.messages;
  if (!held) return;
  const at = held.findIndex((candidate) => candidate.seq === message.seq);
  if (at < 0) insert(chat, message);
  else if (message.rev >= held[at].rev) {
    const before = held[at];
    const { replyCount, lastReplySeq } = (before.lastReplySeq ?? 0) > (message.lastReplySeq ?? 0) ? before : message;
    const state = STATES[Math.max(STATES.indexOf(before.state), STATES.indexOf(message.state))];
    held[at] = { ...message, state, replyCount, lastReplySeq, drawn: (before.drawn ?? 0) + 1 };
    if (before.content !== message.content) requote(chat, message);
  }
}

/** Put a message into its place; one from before the held ones comes with its page, which may be on its way already. */
function insert(chat, message) {
  const { messages } = chat;
  if (message.seq > (messages[0]?.seq ?? chat.seq))
    messages.splice(messages.findLastIndex(({ seq }) => seq < message.seq) + 1, 0, message);
  else missed(chat, message.rev);
}

/** A change of a message that is not held: a page that was asked for before it does not have it. */
function missed(chat, rev) {
  chat.missed = Math.max(chat.missed ?? 0, rev);
}

/** What quotes a message says what that says now (protocol, Message). */
function requote(chat, { id, content }) {
  const said = excerpt(content);
  chat.messages.forEach((message, at) => {
    if (message.replyTo?.id === id)
      chat.messages[at] = redrawn({ ...message, replyTo: { ...message.replyTo, excerpt: said } });
  });
}

const redrawn = (message) => ({ ...message, drawn: (message.drawn ?? 0) + 1 });

/** Change a message by the server's word; what was only pretended of it is over. */
export function amend(chat, messageId, change) {
  const held = find(chat, messageId);
  if (held) merge(chat, { ...(held.truth ?? held), ...change });
  else {
    missed(chat, change.rev);
    if (chat.lastMessage?.id === messageId && change.rev >= chat.lastMessage.rev)
      chat.lastMessage = { ...chat.lastMessage, ...change };
  }
}

/** Show a held message changed; the server's word overwrites it. Returns what takes it back, for a refusal. */
export function pretend(chat, messageId, change) {
  const shown = find(chat, messageId);
  if (shown) replace(chat, { ...shown, ...change, truth: shown.truth ?? shown });
  return () => {
    const { truth, replyCount, lastReplySeq, drawn } = find(chat, messageId) ?? {};
    if (truth) replace(chat, { ...truth, replyCount, lastReplySeq, drawn });
  };
}

function replace(chat, message) {
  chat.messages[chat.messages.findIndex(({ id }) => id === message.id)] = redrawn(message);
}

/** A new reply is told by itself; the message at the thread's beginning has to be counted up here (protocol 2.3). */
export function countReply(chat, { threadId, seq }) {
  const root = threadId && find(chat, threadId);
  if (root && seq > (root.lastReplySeq ?? 0))
    replace(chat, { ...root, replyCount: (root.replyCount ?? 0) + 1, lastReplySeq: seq });
}

/** Forget messages, and that others quote them. Returns those that were here. */
export function hide(chat, messageIds) {
  const hidden = new Set(messageIds);
  const gone = chat.messages?.filter(({ id }) => hidden.has(id)) ?? [];
  const stay = chat.messages?.filter(({ id }) => !hidden.has(id));
  const unquoted = (message) => (hidden.has(message.replyTo?.id) ? redrawn({ ...message, replyTo: null }) : message);
  chat.messages = stay?.map(unquoted) ?? null;
  return gone;
}

/** Return where the held messages begin, to be given to `addPage` with the page that ends there. */
export function edge(chat) {
  return { before: chat.messages?.[0]?.seq, rev: chat.rev, cuts: chat.cuts };
}

/**
 * Take a page of history that ends where the held messages began; `hasMore`: there are older ones. Returns false for a
 * page that is void: what is held begins elsewhere by now, or a change of one of its messages went by while it was on
 * its way.
 */
export function addPage(chat, messages, hasMore, from = edge(chat)) {
  const { before, rev, cuts } = from;
  if (cuts !== chat.cuts || (before !== undefined && before !== chat.messages[0]?.seq) || (chat.missed ?? 0) > rev)
    return false;
  const bySeq = new Map([...messages, ...chat.messages].map((message) => [message.seq, message]));
  chat.messages = [...bySeq.values()].sort(BY_SEQ);
  chat.hasOlder = hasMore;
  return true;
}

/** Forget all but the newest `count` messages: they can be loaded again. Returns whether there were more. */
export function trim(chat, count) {
  if (!chat?.messages || chat.messages.length <= count) return false;
  drop(chat, chat.messages.slice(-count));
  return true;
}

/** Hold these messages instead; pages that are on their way are void. */
export function drop(chat, messages = null) {
  Object.assign(chat, { messages, hasOlder: true, cuts: (chat.cuts ?? 0) + 1 });
}
