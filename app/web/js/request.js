/** The request that a link carries, and the body of POST /v1/completions that it stands for. */

import { compact, fieldsOf } from "./schema.js";

const ALTERNATIVES = 5;
// Of an arm's fields: what is no sampler, and lists and maps, which are better written than clicked. They can be
// sent over REST.
const NOT_SHOWN = new Set([
  ...["name", "strategy", "model", "stop", "stop_token_ids", "max_tokens", "template"],
  ...["logit_bias", "samplers", "dry_sequence_breakers"],
]);
const FIRST = ["temperature", "top_p", "top_k", "min_p"];

/**
 * The sampler fields, which are those of an arm: the four that everyone knows, and all others.
 * @returns {{first: Record<string, object>, more: Record<string, object>}}
 */
export function samplingFields(openapi) {
  const schema = openapi.components.schemas.Arm;
  const wanted = Object.fromEntries(
    Object.entries(schema.properties).filter(([name]) => !NOT_SHOWN.has(name)),
  );
  const fields = fieldsOf({ ...schema, properties: wanted }, openapi);
  const named = (names) => Object.fromEntries(names.map((name) => [name, fields[name]]));
  return { first: named(FIRST), more: named(Object.keys(fields).filter((name) => !FIRST.includes(name))) };
}

/** The fields of every strategy, by kind. */
export function strategyFields(strategies) {
  return Object.fromEntries(
    strategies.map(({ kind, params_schema: schema, root }) => [kind, fieldsOf(schema, root ?? schema)]),
  );
}

/** What a comparison may use: besides the strategies of a request, those that the corpus' checker tells what is wrong. */
export function comparisonStrategies({ openapi, strategies, corpus }) {
  if (!corpus) return strategies;
  const union = openapi.components.schemas.Arm.properties.strategy;
  const known = new Set(strategies.map(({ kind }) => kind));
  const others = Object.entries(union.discriminator.mapping).filter(([kind]) => !known.has(kind));
  return [
    ...strategies,
    ...others.map(([kind, reference]) => {
      const schema = openapi.components.schemas[reference.split("/").at(-1)];
      return { kind, summary: schema.description, params_schema: schema, root: openapi };
    }),
  ];
}

/** The `strategy` of a request: its kind and what differs from the defaults. */
export function strategyOf(kind, values, fields) {
  return { kind, ...compact(values, fields) };
}

/**
 * The body for one strategy of a shared state.
 * @param {{prompt: string, seed: number, max_tokens: number|null, sampling: object, strategies: object[]}} state
 */
export function bodyOf(state, index, { model, signals }) {
  return {
    model: model.id,
    prompt: state.prompt,
    seed: state.seed,
    ...(state.max_tokens === null ? {} : { max_tokens: state.max_tokens }),
    ...state.sampling,
    strategy: state.strategies[index],
    signals: signals.map(({ name }) => name),
    logprobs: ALTERNATIVES,
  };
}

/** A state out of a link, with what it lacks or has of the wrong type put right. */
export function tidy(given) {
  const strategies = Array.isArray(given.strategies)
    ? given.strategies.filter((one) => typeof one?.kind === "string")
    : [];
  return {
    prompt: String(given.prompt ?? ""),
    seed: Number.isSafeInteger(given.seed) ? given.seed : 0,
    max_tokens: Number.isSafeInteger(given.max_tokens) ? given.max_tokens : null,
    sampling: given.sampling && typeof given.sampling === "object" ? given.sampling : {},
    strategies: strategies.length ? strategies.slice(0, 2) : [{ kind: "sample" }],
    colour: typeof given.colour === "string" ? given.colour : "entropy",
  };
}
