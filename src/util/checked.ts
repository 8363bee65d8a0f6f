// What a product has set is judged one by one: the error names the option and the value.
import { AgentError } from "../errors.js";

/** @throws AgentError "agent/options" always */
export function refuse(reason: string): never {
  throw new AgentError("agent/options", `options.${reason}`);
}

/** @throws AgentError "agent/options" */
export function wholeNumber(value: number, least: number, most: number, name: string): number {
  if (!Number.isInteger(value) || value < least || value > most)
    refuse(`${name} ${value} is not ${least} to ${most}`);
  return value;
}
