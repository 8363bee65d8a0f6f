// Evaluates AWS IoT policies (developer guide, "iot-policies"). Pure: knows neither registry nor broker.

import * as v from "valibot";
import { CloudError } from "./errors.js";

/** Region and account are assumed; policies written for others do not match here, as on AWS. */
export const arnPrefix = "arn:aws:iot:eu-west-1:000000000000:";

const texts = v.union([v.string(), v.array(v.string())]);

/** Only operators that are evaluated are accepted: ignoring one would widen an Allow. */
const condition = v.partial(
  v.strictObject({
    Bool: v.record(v.string(), texts),
    StringEquals: v.record(v.string(), texts),
    StringLike: v.record(v.string(), texts),
  }),
);

const statement = v.strictObject({
  Sid: v.optional(v.string()),
  Effect: v.picklist(["Allow", "Deny"]),
  Action: texts,
  Resource: texts,
  Condition: v.optional(condition),
});

/** One statement may stand without its list. */
const asList = (value: unknown): unknown => (Array.isArray(value) ? value : [value]);

export const policySchema = v.strictObject({
  Version: v.literal("2012-10-17"),
  Statement: v.pipe(v.unknown(), v.transform(asList), v.array(statement)),
});

export type PolicyDocument = v.InferOutput<typeof policySchema>;
type Statement = PolicyDocument["Statement"][number];

/** Policy variables of one connection; a missing name is an unresolved variable. */
export type PolicyVariables = Readonly<Record<string, string | undefined>>;

/** @throws CloudError "cloud/invalid-policy" naming the part that is wrong */
export function parsePolicy(name: string, document: unknown): PolicyDocument {
  const result = v.safeParse(policySchema, document);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const where = v.getDotPath(issue) ?? "document";
  throw new CloudError("cloud/invalid-policy", `Policy ${name}: ${where}: ${issue.message}`);
}

const anyRun = -1;
const anyOne = -2;
/** Code units, with `anyRun` for `*` and `anyOne` for `?`. */
type Pattern = readonly number[];

/**
 * Reads one policy text; `+` and `#` are plain characters, substituted text is literal throughout.
 *
 * @returns undefined when a variable is unresolved: such a text matches nothing
 */
export function compilePattern(text: string, variables: PolicyVariables): Pattern | undefined {
  const pattern: number[] = [];
  for (const part of text.split(/(\$\{[^}]*\})/)) {
    if (part.startsWith("${") && part.endsWith("}")) {
      const value = variables[part.slice(2, -1)];
      if (value === undefined) return undefined;
      for (let i = 0; i < value.length; i++) pattern.push(value.charCodeAt(i));
      continue;
    }
    for (const character of part.split("")) {
      if (character === "*") pattern.push(anyRun);
      else pattern.push(character === "?" ? anyOne : character.charCodeAt(0));
    }
  }
  return pattern;
}

/** Linear scan that remembers only the last `*`, so no text can make it slow. */
export function matchesPattern(pattern: Pattern, text: string): boolean {
  let p = 0;
  let t = 0;
  let retryPattern = -1;
  let retryText = 0;
  while (t < text.length) {
    if (pattern[p] === anyRun) {
      retryPattern = ++p;
      retryText = t;
    } else if (p < pattern.length && (pattern[p] === anyOne || pattern[p] === text.charCodeAt(t))) {
      p++;
      t++;
    } else if (retryPattern >= 0) {
      p = retryPattern;
      t = ++retryText;
    } else {
      return false;
    }
  }
  while (pattern[p] === anyRun) p++;
  return p === pattern.length;
}

function matchesText(pattern: string, variables: PolicyVariables, text: string): boolean {
  const compiled = compilePattern(pattern, variables);
  return compiled !== undefined && matchesPattern(compiled, text);
}

function list(value: string | readonly string[]): readonly string[] {
  return typeof value === "string" ? [value] : value;
}

type Operator = (wanted: string, found: string, variables: PolicyVariables) => boolean;

const operators: Readonly<Record<string, Operator>> = Object.freeze({
  Bool: (wanted, found) => wanted.toLowerCase() === found.toLowerCase(),
  StringEquals: (wanted, found) => wanted === found,
  StringLike: (wanted, found, variables) => matchesText(wanted, variables, found),
});

/** All keys of all operators must hold; of the values of one key, any. A missing key does not hold. */
function conditionHolds(tests: Statement["Condition"], variables: PolicyVariables): boolean {
  for (const [operator, keys] of Object.entries(tests ?? {})) {
    for (const [key, wanted] of Object.entries(keys ?? {})) {
      const found = variables[key];
      const compare = operators[operator];
      if (found === undefined || compare === undefined) return false;
      if (!list(wanted).some(value => compare(value, found, variables))) return false;
    }
  }
  return true;
}

interface Rule {
  readonly actions: readonly Pattern[];
  readonly resources: readonly Pattern[];
}

function compileRule(from: Statement, variables: PolicyVariables): Rule {
  const compile = (text: string): Pattern[] => {
    const pattern = compilePattern(text, variables);
    return pattern === undefined ? [] : [pattern];
  };
  return {
    actions: list(from.Action).flatMap(action => compile(action.toLowerCase())),
    resources: list(from.Resource).flatMap(compile),
  };
}

const cachedDecisions = 512;

/** The union of the policies of one connection: explicit Deny wins, then any Allow, else no. */
export class PolicySet {
  readonly #allow: Rule[] = [];
  readonly #deny: Rule[] = [];
  readonly #decisions = new Map<string, boolean>();

  constructor(documents: readonly PolicyDocument[], variables: PolicyVariables) {
    for (const each of documents.flatMap(document => document.Statement)) {
      if (!conditionHolds(each.Condition, variables)) continue;
      (each.Effect === "Deny" ? this.#deny : this.#allow).push(compileRule(each, variables));
    }
  }

  /** @param resource without the ARN prefix, as `topic/a/b` */
  allows(action: string, resource: string): boolean {
    const key = `${action} ${resource}`;
    const known = this.#decisions.get(key);
    if (known !== undefined) return known;
    if (this.#decisions.size >= cachedDecisions) this.#decisions.clear();
    const decision = this.#decide(action.toLowerCase(), arnPrefix + resource);
    this.#decisions.set(key, decision);
    return decision;
  }

  #decide(action: string, arn: string): boolean {
    const covers = (rule: Rule): boolean =>
      rule.actions.some(pattern => matchesPattern(pattern, action)) &&
      rule.resources.some(pattern => matchesPattern(pattern, arn));
    return !this.#deny.some(covers) && this.#allow.some(covers);
  }
}
