/** The order of the conversation list, and what mutes a conversation in it. */

const compare = (a, b) => (a < b ? -1 : Number(a > b));
const moment = (chat) => chat.lastMessage?.createdAt ?? chat.createdAt;

/** Pinned conversations first, then the newest. */
export const byPinThenTime = (a, b) =>
  Number(b.pinned) - Number(a.pinned) || compare(moment(b), moment(a)) || compare(b.id, a.id);

export const isMuted = ({ mutedUntil }) => Boolean(mutedUntil) && new Date(mutedUntil) > new Date();
