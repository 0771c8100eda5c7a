/** Members of a conversation of the store: plain functions, they tell nobody. */

/** Take a snapshot's members. Marks never move back: it may be older than the receipts that were pushed since. */
export function adopt(chat, listed) {
  const held = new Map(chat.members.map((member) => [member.userId, member]));
  const latest = (member, field) => Math.max(member[field], held.get(member.userId)?.[field] ?? 0);
  chat.members = listed.map((member) => ({
    ...member,
    deliveredSeq: latest(member, "deliveredSeq"),
    readSeq: latest(member, "readSeq"),
  }));
}

/** Return a person's name as the members or the held messages give it, "Somebody" where neither does. */
export function nameOf(chat, userId) {
  const sender = () => chat.messages?.find((message) => message.sender.id === userId)?.sender;
  return (chat.members.find((member) => member.userId === userId) ?? sender())?.displayName ?? "Somebody";
}
