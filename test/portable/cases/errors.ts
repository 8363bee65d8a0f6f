import { AgentError, type ErrorCode, errorCodes } from "../../../src/errors.js";
import { check, equal } from "../harness.js";

check("errors: an error carries the kind of its code, its message and its cause", () => {
  const cause = new Error("socket");
  for (const code of Object.keys(errorCodes) as ErrorCode[]) {
    const error = new AgentError(code, "what, where", { cause });
    equal(error.kind, errorCodes[code], code);
    equal(error.code, code);
    equal(error.cause, cause);
    equal(`${error}`, "AgentError: what, where");
    equal(error instanceof AgentError && error instanceof Error, true);
  }
});

check("errors: the table of codes cannot be changed", () => {
  equal(Object.isFrozen(errorCodes), true);
});
