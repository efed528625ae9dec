/** What a form needs to know of a JSON Schema as pydantic writes it. No document in here. */

/**
 * A field that a form can show.
 * @typedef {{type: "integer"|"number"|"string"|"boolean"|"choice"|"object"|"list"|"variant"|"alternatives",
 *   nullable: boolean, default: any, title: string, help: string, required: boolean, [more: string]: any}} Field
 */

/**
 * @param {object} schema the schema of the field
 * @param {object} root where its references point
 * @returns {Field}
 */
export function fieldOf(schema, root, name = "") {
  const { node, nullable } = withoutNull(resolve(schema, root), root);
  const field = {
    nullable,
    default: schema.default,
    title: readable(name),
    help: schema.description ?? node.description ?? "",
    required: false,
    node,
  };
  if (node.oneOf) return { ...field, type: "variant", ...variants(node, root) };
  if (node.anyOf?.some((option) => option.type === "array")) {
    const options = node.anyOf.map((option) => ({ ...fieldOf(option, root, name), help: "" }));
    return { ...field, type: "alternatives", options };
  }
  if (node.anyOf) return { ...field, type: "choice", options: unionOptions(node) };
  if (node.enum) return { ...field, type: "choice", options: node.enum };
  if (node.type === "object" && node.properties) {
    return { ...field, type: "object", fields: fieldsOf(node, root) };
  }
  if (node.type === "array")
    return { ...field, type: "list", item: fieldOf(node.items, root, name), ...bounds(node) };
  return { ...field, type: node.type, ...bounds(node) };
}

/** The fields of an object by name; constants, such as `kind`, are not for people to fill in. */
export function fieldsOf(schema, root) {
  const required = new Set(schema.required ?? []);
  return Object.fromEntries(
    Object.entries(schema.properties)
      .filter(([, property]) => property.const === undefined)
      .map(([name, property]) => [name, { ...fieldOf(property, root, name), required: required.has(name) }]),
  );
}

/** The value a form begins with where nothing is said. */
export function initial(field) {
  if (field.default !== undefined) return structuredClone(field.default);
  if (field.nullable) return null;
  switch (field.type) {
    case "object":
      return Object.fromEntries(Object.entries(field.fields).map(([name, inner]) => [name, initial(inner)]));
    case "list":
      return [];
    case "boolean":
      return false;
    case "choice":
      return field.options[0];
    case "string":
      return "";
    default:
      return null;
  }
}

/** `values` without those that are the default anyway. What is inside a field is kept or left out as a whole. */
export function compact(values, fields) {
  return Object.fromEntries(
    Object.entries(values).filter(
      ([name, value]) => fields[name] && !same(value, fields[name].default ?? null),
    ),
  );
}

/** Whether two JSON values are equal. */
export function same(one, other) {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || !one || !other) return false;
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => same(one[name], other[name]));
}

/** "0 to 1", "1 or more" or "", as a hint. */
export function rangeOf(field) {
  const { low, high, lowOpen, highOpen } = field;
  const far = 2 ** 31 - 1;
  const from = low === undefined ? "" : `${lowOpen ? "above " : ""}${low}`;
  if (high === undefined || high >= far) return from && `${from}${lowOpen ? "" : " or more"}`;
  if (!from) return `up to ${high}`;
  return `${from} ${highOpen ? "to below" : "to"} ${high}`;
}

/** Whether a signal's name is that of a probe. */
export const isProbe = (name) => name.startsWith("probe:");

/** snake_case as words. */
export const readable = (name) => name.replaceAll("_", " ");

function resolve(schema, root) {
  if (!schema.$ref) return schema;
  const path = schema.$ref.replace(/^#\//, "").split("/");
  return path.reduce((node, key) => node[key], root);
}

function withoutNull(node, root) {
  if (!node.anyOf) return { node, nullable: false };
  const others = node.anyOf.filter((option) => option.type !== "null");
  const nullable = others.length < node.anyOf.length;
  return others.length === 1
    ? { node: resolve(others[0], root), nullable }
    : { node: { ...node, anyOf: others }, nullable };
}

function unionOptions(node) {
  return node.anyOf.flatMap((option) => {
    if (option.type === "boolean") return [true, false];
    return option.enum ?? [option.const];
  });
}

function variants(node, root) {
  const key = node.discriminator?.propertyName ?? "kind";
  const options = node.oneOf.map((option) => resolve(option, root));
  return {
    key,
    variants: Object.fromEntries(options.map((option) => [option.properties[key].const, option])),
    root,
  };
}

function bounds(node) {
  return {
    low: node.minimum ?? node.exclusiveMinimum,
    high: node.maximum ?? node.exclusiveMaximum,
    lowOpen: node.exclusiveMinimum !== undefined,
    highOpen: node.exclusiveMaximum !== undefined,
    minItems: node.minItems ?? 0,
    maxItems: node.maxItems ?? Infinity,
    maxLength: node.maxLength,
    pattern: node.pattern,
  };
}
