/**
 * How much is unread in a conversation: counted here as messages come and go, corrected by the server's word. Plain
 * functions over a conversation of the store; `me` is the user's id.
 */

const readSeq = (chat, me) => chat.members.find(({ userId }) => userId === me)?.readSeq ?? 0;

/** What others say and has not been taken back, as the server counts it (chat/read_state.py, UNREAD). */
function isUnread(chat, me, { seq, sender, contentType, status }) {
  return sender.id !== me && seq > readSeq(chat, me) && contentType !== "system" && status !== "deleted";
}

const names = (me, { mentionsAll, mentions }) => Boolean(mentionsAll || mentions?.includes(me));

/** A new message has arrived. */
export function arrived(chat, me, message) {
  if (!isUnread(chat, me, message)) return;
  chat.unreadCount += 1;
  if (names(me, message)) chat.mentionCount += 1;
}

/** A message goes. One that is not held was said by somebody else, if it is unread: `{seq, sender: {}}`. */
export function gone(chat, me, message) {
  if (!isUnread(chat, me, message)) return;
  chat.unreadCount = Math.max(0, chat.unreadCount - 1);
  chat.mentionCount = Math.max(0, Math.min(chat.mentionCount - Number(names(me, message)), chat.unreadCount));
}

/** The read mark has moved to `seq`: exact where the messages above it are held. */
export function read(chat, me, seq) {
  if (chat.messages?.[0]?.seq <= seq + 1) {
    const left = chat.messages.filter((message) => isUnread(chat, me, message.truth ?? message));
    Object.assign(chat, {
      unreadCount: left.length,
      mentionCount: left.filter((message) => names(me, message)).length,
    });
  } else bound(chat, chat.seq - seq);
}

/**
 * Take the server's count, as it was with the message `upTo`: not if more has come since, and no more than there are
 * above what this page has read. It says nothing of mentions: they stay.
 */
export function counted(chat, me, unreadCount, upTo) {
  if (chat.seq > upTo) return;
  chat.unreadCount = unreadCount;
  bound(chat, chat.seq - readSeq(chat, me));
}

function bound(chat, most) {
  chat.unreadCount = Math.max(0, Math.min(chat.unreadCount, most));
  chat.mentionCount = Math.min(chat.mentionCount, chat.unreadCount);
}
