// What a job document asks for: one operation by name, or the steps of a managed template (AWS IoT Device Client's schema).
import { readElements, readJson } from "../codec/json.js";
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { deepFreeze } from "../util/machine.js";

export interface Action {
  readonly name: string;
  /** `runHandler` or `runCommand`. */
  readonly type: string;
  readonly ignoresFailure: boolean;
  /** The action as JSON. */
  readonly text: Uint8Array;
}

export interface Plan {
  readonly operation: string;
  /** Of a managed template, in order. */
  readonly actions: readonly Action[] | undefined;
}

const where = "job document";

const shape = deepFreeze({
  operation: "string",
  afr_ota: "raw",
  skerry: { operation: "string" },
  version: "string",
  conditions: "raw",
  steps: "raw",
  finalStep: "raw",
} as const);

/** @throws AgentError "job/document", "codec/json" or "codec/utf8" */
export function planOf(document: Uint8Array): Plan {
  const found = readJson(document, shape, where) ?? fail("is not an object");
  const { afr_ota, skerry, steps } = found;
  if (afr_ota) return { operation: "firmware", actions: undefined };
  const operation = skerry ? skerry.operation : found.operation;
  if (operation !== undefined) return { operation: named(operation), actions: undefined };
  if (skerry || !steps) return fail("has no operation");
  if (found.version === undefined) fail("has steps and no version");
  if (found.conditions && readElements(found.conditions, limits.jobSteps, where).length > 0)
    fail("has conditions, which are not honoured on this device");
  const texts = readElements(steps, limits.jobSteps, `${where}.steps`);
  const actions = [...texts, ...(found.finalStep ? [found.finalStep] : [])].map(actionOf);
  const [first] = actions;
  if (!first) return fail("has no steps");
  return { operation: actions.length > 1 ? "steps" : operationOf(first), actions };
}

/** Under which name the handler of an action is to be found. */
export function operationOf({ name }: Action): string {
  return name === "Reboot" ? "reboot" : name;
}

const stepShape = deepFreeze({ action: "raw" } as const);
const actionShape = deepFreeze({
  name: "string",
  type: "string",
  input: "raw",
  ignoreStepFailure: "scalar",
} as const);

function actionOf(step: Uint8Array): Action {
  const text =
    readJson(step, stepShape, `${where}.steps`)?.action ?? fail("has a step without action");
  const action = readJson(text, actionShape, `${where}.steps.action`) ?? {};
  const { name, type, ignoreStepFailure } = action;
  if (name === undefined) fail("has an action without name");
  if (type !== "runHandler" && type !== "runCommand")
    fail(`has an action of type ${type === undefined ? "none" : type.slice(0, 40)}`);
  return {
    name: named(name),
    type,
    ignoresFailure: ignoreStepFailure === "true" || ignoreStepFailure === true,
    text,
  };
}

/** A name is told to the service and to the product. */
function named(name: string): string {
  return name.length > 0 && name.length <= 64 ? name : fail("has an operation of no usable name");
}

function fail(reason: string): never {
  throw new AgentError("job/document", `${where} ${reason}`);
}
