/** What the address says after #: the tab, and on the play tab the whole request. */

/**
 * @param {string} hash as location.hash has it
 * @returns {{tab: string, rest: string, request: object|null}}
 */
export function readHash(hash) {
  const [tab, ...rest] = hash.replace(/^#/, "").split("/");
  const where = rest.join("/");
  return { tab: tab || "play", rest: where, request: tab === "play" && where ? decode(where) : null };
}

/** The hash that `readHash` reads as this request. */
export function writeHash(request) {
  return `#play/${encode(request)}`;
}

/** JSON in the letters that every address keeps: base64url of its UTF-8. */
export function encode(value) {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** The value that was encoded, or null where the text is broken off or is none. */
export function decode(text) {
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (letter) => letter.charCodeAt(0))));
  } catch {
    return null;
  }
}
