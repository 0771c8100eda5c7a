/**
 * Return what the others know of an own message: `{state, seenBy}`, state sent, delivered or seen, seenBy by names;
 * `me` is the user's id. Told by the members' marks; the server's word may be more.
 */
export function ticks(chat, me, message) {
  const others = chat.members.filter(({ userId }) => userId !== me);
  const complete = others.length >= chat.memberCount - 1;
  // Who came later counts what was said before as read, and has not read it.
  const recipients = others.filter(({ joinedSeq }) => joinedSeq < message.seq);
  const seenBy = recipients.filter(({ readSeq }) => readSeq >= message.seq).map(({ displayName }) => displayName);
  const all = (has) => complete && recipients.length > 0 && recipients.every(has);
  if (message.state === "seen" || all(({ readSeq }) => readSeq >= message.seq)) return { state: "seen", seenBy };
  const delivered = all(({ deliveredSeq, readSeq }) => Math.max(deliveredSeq, readSeq) >= message.seq);
  return { state: delivered || message.state === "delivered" ? "delivered" : "sent", seenBy };
}
