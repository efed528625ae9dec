/** The same request for a terminal and for the official Python client. */

// What openai's client names itself; all else goes into extra_body.
const OPENAI = [
  "model",
  "prompt",
  "seed",
  "max_tokens",
  "temperature",
  "top_p",
  "n",
  "stop",
  "presence_penalty",
  "frequency_penalty",
  "logit_bias",
  "logprobs",
];

/**
 * @param {object} body of POST /v1/completions
 * @param {string} url where /v1 is
 * @param {boolean} withKey the server wants a key; it is taken from the environment, not written down
 */
export function curl(body, url, withKey) {
  const json = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  const key = withKey ? ' -H "authorization: Bearer $DEMUR_API_KEY"' : "";
  return `curl -s ${url}/completions${key} -H 'content-type: application/json' -d '${json}'`;
}

/** The same with the official client. */
export function python(body, url, withKey) {
  const given = Object.entries(body);
  const own = given.filter(([name]) => OPENAI.includes(name));
  const extra = Object.fromEntries(given.filter(([name]) => !OPENAI.includes(name)));
  const lines = own.map(([name, value]) => `    ${name}=${literal(value, 4)},`);
  if (Object.keys(extra).length) lines.push(`    extra_body=${literal(extra, 4)},`);
  return `${withKey ? "import os\n\n" : ""}from openai import OpenAI

client = OpenAI(base_url=${literal(url)}, api_key=${withKey ? 'os.environ["DEMUR_API_KEY"]' : '"none"'})
answer = client.completions.create(
${lines.join("\n")}
)
print(answer.choices[0].text)
`;
}

/** A JSON value as Python writes it. */
function literal(value, indent = 0) {
  const pad = " ".repeat(indent + 4);
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => literal(item, indent)).join(", ")}]`;
  const items = Object.entries(value).map(
    ([name, item]) => `${pad}${literal(name)}: ${literal(item, indent + 4)},`,
  );
  return items.length ? `{\n${items.join("\n")}\n${" ".repeat(indent)}}` : "{}";
}
