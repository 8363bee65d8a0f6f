// What ended a link, in the terms one can act upon: the network, a refusal by the server, a server that was not believed.
import { AgentError } from "../errors.js";

/** @param cause what a socket or a client gave as its reason */
export function asLinkError(cause: unknown): AgentError {
  const isTrust = cause instanceof AgentError && cause.code.startsWith("trust/");
  if (cause instanceof AgentError && !isTrust) return cause;
  const message = cause instanceof Error ? cause.message : "closed by the peer";
  const code = isTrust ? "connection/untrusted" : "connection/lost";
  return new AgentError(code, `connection lost: ${message}`, { cause });
}
