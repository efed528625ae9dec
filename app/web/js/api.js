/** Requests to the server: JSON, server-sent events, errors, and the API key where one is wanted. */

const KEY = "demur.key";
const BROKEN_OFF = "The connection ended in the middle of the answer.";
const BASE = new URL("v1/", document.baseURI);

/** What the server says went wrong; `param` names the field, as `strategy.retry.per_step`. */
export class ApiError extends Error {
  constructor(message, { status = 0, param = null, code = null } = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.param = param;
    this.code = code;
  }
}

/** The key that is sent, or "". It is kept for this tab only. */
export function apiKey() {
  return sessionStorage.getItem(KEY) ?? "";
}

/** @type {(wrong: boolean) => Promise<string|null>} */
let askForKey = async () => null;

/** @param {(wrong: boolean) => Promise<string|null>} ask called where the server wants a key */
export function onKeyWanted(ask) {
  askForKey = ask;
}

export const get = async (path, signal) => (await request("GET", path, undefined, signal)).json();
export const post = async (path, body, signal) => (await request("POST", path, body, signal)).json();
export const remove = (path) => request("DELETE", path);
export const text = async (path) => (await request("GET", path)).text();

/** The address of a route, for links and for the snippets. */
export const address = (path) => new URL(path, BASE).href;

/** What stands outside /v1: the health routes and the OpenAPI document. */
export const outside = async (path) => fetch(new URL(`../${path}`, BASE));

/**
 * The events of a stream, parsed, until `[DONE]`.
 * @throws {ApiError} the server refuses, or ends the stream with an error
 */
export async function* events(method, path, body, signal) {
  const response = await request(method, path, body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await read(reader);
    if (done) throw new ApiError(BROKEN_OFF);
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data:"));
      if (!data.length) continue; // a comment that keeps the connection open
      const said = data.map((line) => line.slice(5).trimStart()).join("\n");
      if (said === "[DONE]") return;
      const event = JSON.parse(said);
      if (event.error?.message) throw new ApiError(event.error.message, event.error);
      yield event;
    }
  }
}

/** A server that is killed breaks the connection off, which is an error of another kind. */
async function read(reader) {
  try {
    return await reader.read();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(BROKEN_OFF);
  }
}

async function request(method, path, body, signal) {
  for (let asked = false; ; ) {
    const key = apiKey();
    const response = await send(method, path, body, signal, key);
    if (response.ok) return response;
    const error = await errorOf(response);
    if (error.status !== 401) throw error;
    if (apiKey() !== key) continue; // another request has asked meanwhile
    const given = await askForKey(asked || key !== "");
    if (given === null) throw error;
    sessionStorage.setItem(KEY, given);
    asked = true;
  }
}

async function send(method, path, body, signal, key) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (body !== undefined) headers["content-type"] = "application/json";
  if (key) headers.authorization = `Bearer ${key}`;
  const json = body === undefined ? undefined : JSON.stringify(body);
  try {
    return await fetch(address(path), { method, headers, body: json, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached. Is it still running?");
  }
}

async function errorOf(response) {
  let said = null;
  try {
    said = (await response.json()).error;
  } catch {
    // A proxy's page, not the server's envelope: the status is all there is to say.
  }
  const message = said?.message ?? `The server answered ${response.status} ${response.statusText}.`;
  return new ApiError(message, { status: response.status, param: said?.param, code: said?.code });
}
