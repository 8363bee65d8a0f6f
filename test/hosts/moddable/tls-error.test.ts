// What a stream's owner is told, by what has ended it.
import test from "ava";
import { asStreamError, TLSError } from "../../../hosts/moddable/tls-error.js";
import { AgentError, type ErrorCode } from "../../../src/errors.js";

const told = test.macro({
  exec: (t, cause: TLSError, code: ErrorCode) => {
    const error = asStreamError(cause, "server.example:8883");
    t.true(error instanceof AgentError);
    const { code: actual, message, cause: kept } = error as AgentError;
    t.is(actual, code);
    t.is(message, `tls: server.example:8883: ${cause.message}`);
    t.is(kept, cause);
  },
  title: title => `told: ${title}`,
});

const verdict = new AgentError("trust/expired", "certificate: expired");
const judged = new TLSError("certificateExpired", verdict.message, { cause: verdict });
test("a server that was not believed", told, judged, "connection/untrusted");
test("one that breaks the rules", told, new TLSError("decodeError", "short"), "connection/lost");
test("a closed port", told, new TLSError(undefined, "cannot be reached"), "connection/lost");

for (const received of [40, 42, 43, 44, 45, 46, 48, 49, 116]) {
  const error = new TLSError(undefined, "the server's alert", { received });
  test(`alert ${received}, which is about the client`, told, error, "connection/refused");
}
for (const received of [0, 10, 20, 51, 70, 80, 112, 120]) {
  const error = new TLSError(undefined, "the server's alert", { received });
  test(`alert ${received}, which is not`, told, error, "connection/lost");
}

test("what is no TLSError is handed on as it is", t => {
  const error = new RangeError("thrown by a callback");
  t.is(asStreamError(error, "server.example:8883"), error);
});
