/**
 * The REST API v1 with the web session's cookie and CSRF token. Answers are JSON; a refusal is thrown as a `Problem`.
 */

const BASE = "/api/v1";

/** A problem document (RFC 9457): `code` is one of protocol 2.6, `message` is for people. */
export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(body.detail || body.title || `HTTP ${status}`);
    this.status = status;
    this.code = body.code ?? "INTERNAL";
    this.retryAfter = retryAfter;
  }
}

/** Read from the cookie each time: signing in again in another tab changes it. */
export const csrf = () => document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "";

async function problem(response) {
  const body = await response.json().catch(() => ({}));
  return new Problem(response.status, body, Number(response.headers.get("Retry-After")) || undefined);
}

/** Return the answer's JSON, or null where there is none. Throws Problem, and TypeError where no server was reached. */
export async function request(method, path, body) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRFToken"] = csrf();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const init = { method, headers, credentials: "same-origin" };
  if (body !== undefined) init.body = JSON.stringify(body);
  const response = await fetch(BASE + path, init);
  if (!response.ok) throw await problem(response);
  return response.status === 204 ? null : response.json();
}

export const get = (path) => request("GET", path);
export const post = (path, body) => request("POST", path, body);
export const put = (path, body) => request("PUT", path, body);
export const patch = (path, body) => request("PATCH", path, body);
export const remove = (path) => request("DELETE", path);

/** Return whether the session still holds; a server that cannot be reached says nothing against it. */
export async function signedIn() {
  try {
    await get("/me");
  } catch (fault) {
    return fault.status !== 401 && fault.status !== 403;
  }
  return true;
}
